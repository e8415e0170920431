"""Answers of an HTTP/1.1 server (RFC 9112), read as far as a load needs: status, body, end of the connection.

Answers carry their length; bodies in chunks are not read.
"""

from __future__ import annotations

from typing import NamedTuple

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_LAST = b"\r\nconnection: close"
_STATUS = slice(9, 12)


class Answer(NamedTuple):
    """What the load needs of it; `last` when the server announced that it ends the connection."""

    status: int
    body: bytes
    last: bool


def read_answer(data: bytes) -> Answer | None:
    """The answer that `data` begins with; None when more of it is to come."""
    end = data.find(_END_OF_HEAD)
    if end < 0:
        return None
    head = data[: end + 2].lower()
    at = head.find(_LENGTH)
    length = int(head[at + len(_LENGTH) : head.find(b"\r", at + 2)]) if at >= 0 else 0
    begin = end + len(_END_OF_HEAD)
    if len(data) < begin + length:
        return None
    return Answer(int(data[_STATUS]), data[begin : begin + length], _LAST in head)
