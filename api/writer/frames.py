"""Frames over the Unix socket between HTTP workers and the writer, received into memory of their own.

A frame is four bytes of length and a msgpack list of messages; many small messages share one, as the cost of a frame
is that of a system call. A large one, a batch of rows, is received where it stays; asyncio's streams copy it twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec
import numpy as np

LENGTH_BYTES = 4
# A batch of the largest allowed body, typed, with the reasons for what was refused.
MAX_FRAME_BYTES = 2 * 1024**3
_LARGE_BYTES = 64 * 1024
_STAGED_BYTES = 4 * _LARGE_BYTES

Content = bytes | memoryview

_encoder = msgspec.msgpack.Encoder()


def frame(messages: list[Any]) -> bytearray:
    """Messages as one frame."""
    made = bytearray(LENGTH_BYTES)
    _encoder.encode_into(messages, made, LENGTH_BYTES)
    made[:LENGTH_BYTES] = (len(made) - LENGTH_BYTES).to_bytes(LENGTH_BYTES, "big")
    return made


class FrameConnection(asyncio.BufferedProtocol):
    """One end of a connection; make it inside a running event loop.

    Args:
        take: Called with this and the content of each frame, in order; nobody else writes to that memory.
        made: Called once there is a connection.

    Attributes:
        ended: Done when the connection is no more.
    """

    def __init__(
        self,
        take: Callable[[FrameConnection, Content], None],
        made: Callable[[FrameConnection], None] = lambda _: None,
    ) -> None:
        self._taker, self._made = take, made
        self._transport: asyncio.Transport | None = None
        self._staged = memoryview(bytearray(_STAGED_BYTES))
        self._large: memoryview | None = None
        # Bytes received into the large frame when there is one, else into the stage.
        self._filled = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, messages: list[Any]) -> None:
        """Hand over messages; what cannot be sent at once is kept. Nothing happens when the other side has gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame(messages))

    def unsent(self) -> int:
        """Bytes handed over and not sent."""
        if self._transport is None or self._transport.is_closing():
            return 0
        return self._transport.get_write_buffer_size()

    def close(self) -> None:
        """Leave, once what was handed over is sent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._made(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's
        if not self.ended.done():
            self.ended.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's
        return (self._staged if self._large is None else self._large)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        if self._large is None:
            self._take_staged()
        elif self._filled == len(self._large):
            content, self._large, self._filled = self._large, None, 0
            self._taker(self, content)

    def _take_staged(self) -> None:
        at, staged, filled = 0, self._staged, self._filled
        while filled - at >= LENGTH_BYTES:
            begin = at + LENGTH_BYTES
            length = int.from_bytes(staged[at:begin], "big")
            if length > MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes")
            if begin + length > filled:
                if length > _LARGE_BYTES:
                    # A bytearray would be filled with zeros first.
                    self._large, self._filled = np.empty(length, np.uint8).data, filled - begin
                    self._large[: self._filled] = staged[begin:filled]
                    return
                break
            at = begin + length
            self._taker(self, bytes(staged[begin:at]))
        self._filled = filled - at
        # A copy first: the two places may overlap.
        staged[: self._filled] = bytes(staged[at:filled])
