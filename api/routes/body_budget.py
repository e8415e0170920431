"""What bodies of batches may take of a worker's memory at once; beyond it callers are told to come back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from api.problems import unavailable

_RETRY_AFTER_S = 1


class BodyBudget:
    """Bytes that may be held; safe on one event loop.

    Args:
        limit_bytes: Most bytes of all bodies together. A body larger than it is let in alone.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held = 0

    @contextmanager
    def hold(self, headers: Iterable[tuple[bytes, bytes]], most_bytes: int) -> Iterator[None]:
        """Room for one request's body while it is read and its rows wait.

        Args:
            headers: Of the request: a plain body is as long as it says, any other may become the most allowed.
            most_bytes: Most bytes a body may have.

        Raises:
            Problem: 503 when there is no room.
        """
        size = _announced(headers, most_bytes)
        if self._held and self._held + size > self._limit_bytes:
            raise unavailable("More is being read than the service holds.", _RETRY_AFTER_S)
        self._held += size
        try:
            yield
        finally:
            self._held -= size


def _announced(headers: Iterable[tuple[bytes, bytes]], most_bytes: int) -> int:
    length: int | None = None
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"content-encoding" and value.strip().lower() != b"identity":
            return most_bytes
    return most_bytes if length is None else min(length, most_bytes)
