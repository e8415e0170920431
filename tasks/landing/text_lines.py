"""Text files as blocks of whole lines, so that memory does not grow with the file."""

from __future__ import annotations

import codecs
import gc
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tasks.landing.chunk import FileRefusedError
from tasks.landing.inbox import readable

# A chunk costs DuckDB some 15 ms before its first row; ten of this size still fit any machine.
BLOCK_BYTES = 8 * 1024 * 1024


@contextmanager
def collector_paused() -> Iterator[None]:
    """Spare the rows of one block the search for cycles: text has none, and it takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Readable(Protocol):
    """Anything with a `read` that returns nothing at the end."""

    def read(self, size: int = ..., /) -> bytes: ...


class HashingReader(io.RawIOBase):
    """Reads a file and keeps the SHA-256 of what went through.

    Args:
        source: The file.
        name: What messages call it; a read that fails is a BadInputError.
    """

    def __init__(self, source: io.FileIO, name: str) -> None:
        self._source, self._name = source, name
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        with readable(self._name):
            data = self._source.read(size) or b""
        self._digest.update(data)
        return data

    def finish(self) -> str:
        """Read on to the end; the digest of the whole file, hexadecimal."""
        while self.read(BLOCK_BYTES):
            pass
        return self._digest.hexdigest()


class GzipReader:
    """The content of a gzip file, which is refused when it is none or cut short."""

    def __init__(self, source: HashingReader) -> None:
        self._source = gzip.GzipFile(fileobj=source)

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._source.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise FileRefusedError("not_gzip") from None


def line_blocks(source: Readable, max_line_bytes: int) -> Iterator[list[str]]:
    r"""Lines with their ends, in blocks of about `BLOCK_BYTES`; only ``\n`` ends a line.

    A byte order mark is dropped.

    Raises:
        FileRefusedError: empty_file, not_utf8 or line_too_long.
    """
    parts: list[bytes] = []
    waiting, empty = 0, True
    while data := source.read(BLOCK_BYTES):
        cut = data.rfind(b"\n") + 1
        if not cut:
            parts.append(data)
            waiting += len(data)
            if waiting > max_line_bytes:
                raise FileRefusedError("line_too_long")
            continue
        block, parts, waiting = b"".join((*parts, data[:cut])), [data[cut:]], len(data) - cut
        yield _lines(block, first=empty)
        empty = False
    last = _lines(b"".join(parts), first=empty)
    if last:
        yield last
    elif empty:
        raise FileRefusedError("empty_file")


def _lines(block: bytes, *, first: bool) -> list[str]:
    # str.splitlines would also split at form feeds and Unicode separators inside fields.
    lines = io.BytesIO(block.removeprefix(codecs.BOM_UTF8) if first else block).readlines()
    try:
        return [line.decode() for line in lines]
    except UnicodeDecodeError:
        raise FileRefusedError("not_utf8") from None
