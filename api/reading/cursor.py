"""Cursors: where the next page of a walk begins, and which version the whole walk reads.

A cursor names its version, so pages of one walk agree although newer versions are published meanwhile; and the key of
the last row seen, not a count of rows to skip. It is no secret and needs no signature: whatever it says is checked like
any other parameter.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pyarrow as pa

from api.problems import Problem, malformed
from lake.table import DATE, TIMESTAMP, Table

MAX_CURSOR_CHARS = 2_048
_FILTER_BYTES = 8
_INT64 = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Key = tuple[Any, ...]


class _Content(msgspec.Struct, forbid_unknown_fields=True, array_like=True):
    version: int
    filters: str
    key: list[str | int]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a walk.

    Args:
        version: Version the walk reads.
        key: Values of the order's columns in the last row seen.
    """

    version: int
    key: Key


def write_cursor(version: int, key: Key, filters: Mapping[str, Any]) -> str:
    """A cursor as callers get it, opaque: base64url without padding."""
    content = _Content(version, _digest(filters), [_plain(value) for value in key])
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).rstrip(b"=").decode("ascii")


def read_cursor(text: str, table: Table, order: Sequence[str], filters: Mapping[str, Any]) -> Cursor:
    """What a caller's cursor says.

    Args:
        text: As received.
        table: What is walked.
        order: Columns whose values the key holds.
        filters: Filters of this request; a walk keeps to those it began with.

    Raises:
        Problem: 400 when it is no cursor of such a walk.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        content = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=_Content)
    except (msgspec.DecodeError, binascii.Error, UnicodeError, ValueError):
        raise _foreign() from None
    if content.filters != _digest(filters):
        raise malformed("The cursor belongs to a walk with other filters; begin again without it.")
    if len(content.key) != len(order) or not 0 <= content.version < _INT64:
        raise _foreign()
    key = tuple(_typed(value, table.column(c).type) for value, c in zip(content.key, order, strict=True))
    return Cursor(content.version, key)


def _foreign() -> Problem:
    return malformed("This is no cursor of this list; begin again without it.")


def _digest(filters: Mapping[str, Any]) -> str:
    content = msgspec.json.encode(dict(filters), order="sorted")
    return hashlib.sha256(content).digest()[:_FILTER_BYTES].hex()


def _plain(value: Any) -> str | int:
    if isinstance(value, datetime):
        elapsed = value - _EPOCH
        return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds
    return value.isoformat() if isinstance(value, date) else value


def _typed(value: str | int, kind: pa.DataType) -> Any:
    """A key's value as a column of that type compares with it; a moment stays in microseconds."""
    if kind == DATE and isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise _foreign() from None
    whole = kind == TIMESTAMP or pa.types.is_integer(kind)
    if whole and isinstance(value, int) and abs(value) < _INT64:
        return value
    if pa.types.is_string(kind) and isinstance(value, str):
        return value
    raise _foreign()
