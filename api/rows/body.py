"""A request's body, read and decoded within bounds: whatever comes, it ends in bytes, a refusal, or a client that left.

Limits hold while reading and while decompressing, so neither a long body nor a bomb is ever held whole.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from typing import Any, Protocol

import zstandard

from api.problems import Problem, malformed, too_large, unsupported

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = Sequence[tuple[bytes, bytes]]

CODINGS = ("gzip", "zstd", "identity")
# Parts are what parallel compressors write; each costs a new decoder.
_MAX_PARTS = 10_000
# Most that comes out of one step, so that other requests have their turn and limits are noticed soon.
_STEP_BYTES = 256 * 1024
_GZIP_INPUT_BYTES = 16 * 1024
# A zstd block of four bytes may stand for 128 KiB, and the library has no limit on what one call gives.
_ZSTD_INPUT_BYTES = 256
# What RFC 9659 lets a content coding ask for.
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
_GZIP_WBITS = 16 + zlib.MAX_WBITS


class ClientGone(Exception):  # noqa: N818 - nothing failed; there is nobody left to answer
    """The client closed the connection before its body was whole."""


async def read_body(receive: Receive, headers: Headers, limit_bytes: int) -> bytes:
    """The body of a request, decompressed.

    Args:
        receive: Of the ASGI application, nothing read yet.
        headers: Of the ASGI scope, names in lower case.
        limit_bytes: Most bytes, both as sent and decompressed.

    Raises:
        Problem: 413 past the limit, 415 for an unknown content coding, 400 when it cannot be decompressed.
        ClientGone: The client left.
    """
    coding = _coding(headers, limit_bytes)
    message = await receive()
    if not coding and message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
        return body
    return await _read_all(message, receive, _DECODERS[coding](), limit_bytes)


def _coding(headers: Headers, limit_bytes: int) -> bytes:
    """The content coding, empty when there is none; refuses early what says it is too large."""
    coding = b""
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            # Digits by the thousand are no number anybody should compute.
            if len(value.lstrip(b"0")) > len(str(limit_bytes)) or int(value) > limit_bytes:
                raise _too_large(limit_bytes)
        elif name == b"content-encoding":
            coding = coding + b"," + value.strip().lower() if coding else value.strip().lower()
    coding = _ALIASES.get(coding, coding)
    if coding not in _DECODERS:
        raise unsupported(
            f"Content-Encoding may be one of {', '.join(CODINGS)}.", {"Accept-Encoding": ", ".join(CODINGS)}
        )
    return coding


async def _read_all(message: MutableMapping[str, Any], receive: Receive, decoder: _Decoder, limit_bytes: int) -> bytes:
    sent = size = 0
    pieces: list[bytes] = []
    while True:
        if message["type"] != "http.request":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        sent += len(chunk)
        if sent > limit_bytes:
            raise _too_large(limit_bytes)
        for piece in decoder.decode(chunk):
            size += len(piece)
            if size > limit_bytes:
                raise _too_large(limit_bytes)
            if piece:
                pieces.append(piece)
            if len(piece) >= _STEP_BYTES:
                await asyncio.sleep(0)
        if not message.get("more_body"):
            break
        message = await receive()
    decoder.finish()
    return b"".join(pieces)


def _too_large(limit_bytes: int) -> Problem:
    return too_large(f"The body has more than {limit_bytes} bytes, the most that are taken, also when decompressed.")


class _Decoder(Protocol):
    """Undoes one content coding, chunk by chunk."""

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """What the chunk adds, in pieces.

        Raises:
            Problem: 400.
        """

    def finish(self) -> None:
        """The body is over.

        Raises:
            Problem: 400 when it ends too early.
        """


class _Identity:
    def decode(self, chunk: bytes) -> Iterator[bytes]:
        if chunk:
            yield chunk

    def finish(self) -> None:
        pass


class _Gzip:
    """Gzip of any number of members (RFC 1952, 2.2)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WBITS)
        self._parts = 1

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        for start in range(0, len(chunk), _GZIP_INPUT_BYTES):
            # Short input, as the rest after a member's end is copied each time.
            yield from self._decode(chunk[start : start + _GZIP_INPUT_BYTES])

    def _decode(self, rest: bytes) -> Iterator[bytes]:
        while rest:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP_WBITS)
                self._parts = _next_part(self._parts)
            try:
                yield self._member.decompress(rest, _STEP_BYTES)
            except zlib.error:
                raise malformed("The body is not gzip, or it is damaged.") from None
            rest = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def finish(self) -> None:
        if not self._member.eof:
            raise malformed("The gzip body ends too early.")


class _Zstd:
    """Zstandard of any number of frames (RFC 8878, 3.1)."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        self._frame = self._decompressor.decompressobj()
        self._parts = 1

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        for start in range(0, len(chunk), _ZSTD_INPUT_BYTES):
            yield from self._decode(chunk[start : start + _ZSTD_INPUT_BYTES])

    def _decode(self, rest: bytes) -> Iterator[bytes]:
        while rest:
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
                self._parts = _next_part(self._parts)
            try:
                yield self._frame.decompress(rest)
            except zstandard.ZstdError:
                raise malformed("The body is not zstd with a window of at most 8 MiB, or it is damaged.") from None
            rest = self._frame.unused_data if self._frame.eof else b""

    def finish(self) -> None:
        if not self._frame.eof:
            raise malformed("The zstd body ends too early.")


def _next_part(parts: int) -> int:
    if parts >= _MAX_PARTS:
        raise malformed(f"The body is compressed in more than {_MAX_PARTS} parts.")
    return parts + 1


_DECODERS: dict[bytes, Callable[[], _Decoder]] = {b"": _Identity, b"gzip": _Gzip, b"zstd": _Zstd}
# RFC 9110, 8.4.1.3.
_ALIASES = {b"identity": b"", b"x-gzip": b"gzip"}
