"""Messages come out on the other side as they went in, in order, however large they are and however they arrive."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import uvloop

from api.writer.frames import LENGTH_BYTES, MAX_FRAME_BYTES, Content, FrameConnection, frame

SIZES = [0, 1, 100, 65_530, 65_531, 65_536, 70_000, 262_139, 262_140, 262_144, 300_000, 5_000_000]
LOOPS = [uvloop.run, asyncio.run]


class Ends:
    """A listening end that keeps what it gets, and a plain socket that talks to it."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.listening: list[FrameConnection] = []

    @asynccontextmanager
    async def open(self, path: Path) -> AsyncIterator[socket.socket]:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: FrameConnection(self.take, self.listening.append), str(path))
        with socket.socket(socket.AF_UNIX) as plain:
            plain.setblocking(False)
            await loop.sock_connect(plain, str(path))
            try:
                yield plain
            finally:
                server.close()
                for end in self.listening:
                    end.close()

    def take(self, _: FrameConnection, content: Content) -> None:
        self.got += msgspec.msgpack.decode(content, type=list[bytes])

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not met():
                await asyncio.sleep(0.005)


@pytest.mark.parametrize("run", LOOPS)
@pytest.mark.parametrize("piece", [1, 3, 1_000, 65_537, 10_000_000])
def test_frames_of_every_size_arrive_in_order_in_whatever_pieces(
    tmp_path: Path, run: Callable[[Awaitable[None]], None], piece: int
) -> None:
    sizes = SIZES if piece > 3 else SIZES[:3]
    messages = [bytes([n]) * size for n, size in enumerate(sizes)]
    sent = b"".join(bytes(frame([message, b"|"])) for message in messages)

    async def talk() -> None:
        ends = Ends()
        async with ends.open(tmp_path / "s") as plain:
            for start in range(0, len(sent), piece):
                await asyncio.get_running_loop().sock_sendall(plain, sent[start : start + piece])
            await ends.until(lambda: len(ends.got) == 2 * len(messages))
            assert ends.got[::2] == messages
            plain.close()
            await asyncio.wait_for(ends.listening[0].ended, 5)

    run(talk())


@pytest.mark.parametrize("run", LOOPS)
def test_both_ends_talk_and_what_is_not_sent_yet_is_known(
    tmp_path: Path, run: Callable[[Awaitable[None]], None]
) -> None:
    async def talk() -> None:
        ends = Ends()
        answers: list[bytes] = []
        async with ends.open(tmp_path / "s"):
            _, caller = await asyncio.get_running_loop().create_unix_connection(
                lambda: FrameConnection(lambda _, content: answers.append(bytes(content))), str(tmp_path / "s")
            )
            await ends.until(lambda: len(ends.listening) == 2)
            for message in (b"x" * 3_000_000, b"y"):
                caller.send([message])
            assert caller.unsent() > 0
            await ends.until(lambda: len(ends.got) == 2)
            assert caller.unsent() == 0
            ends.listening[1].send([1, 2])
            await ends.until(lambda: bool(answers))
            assert answers == [msgspec.msgpack.encode([1, 2])]
            caller.close()
            await asyncio.wait_for(ends.listening[1].ended, 5)
            ends.listening[1].send([3])
            assert ends.listening[1].unsent() == 0

    run(talk())


@pytest.mark.parametrize("run", LOOPS)
def test_a_frame_that_nobody_of_ours_would_send_ends_the_connection(
    tmp_path: Path, run: Callable[[Awaitable[None]], None]
) -> None:
    async def talk() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        ends = Ends()
        async with ends.open(tmp_path / "s") as plain:
            await loop.sock_sendall(plain, (MAX_FRAME_BYTES + 1).to_bytes(LENGTH_BYTES, "big") + b"xxxx")
            await ends.until(lambda: bool(ends.listening))
            await asyncio.wait_for(ends.listening[0].ended, 5)
            assert ends.got == []

    run(talk())
