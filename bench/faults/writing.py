"""A writer process of its own under a driver that is its only caller: groups of requests in, answers out."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from api.rows.validation import as_text_table, check
from api.writer.frames import Content, FrameConnection
from api.writer.place import socket_path
from api.writer.protocol import Batch, RefusedRow, Reply, Request, Row, State, as_stream
from api.writer.protocol import replies_decoder as decoder
from bench.measure import BenchError
from lake.lake import Lake
from lake.settings import PROJECT_ROOT

WRITER = (sys.executable, "-m", "api.writer")
_START_S, _POLL_S, _STOP_S = 60.0, 0.02, 30.0


def row(seq: int, identifier: str, amount: str = "1.00") -> Row:
    """A request of one good row."""
    return Row(seq, "driver", "", "", _values(identifier, amount))


def batch(seq: int, identifiers: Sequence[str], refused: Sequence[str] = ()) -> Batch:
    """A request of many good rows, and of others for quarantine, known by their payloads."""
    rows = check(as_text_table([_values(i, "1.00") for i in identifiers])).rows
    bad = tuple(RefusedRow(len(identifiers) + n, ("amount_missing",), text) for n, text in enumerate(refused))
    indexes = b"".join(n.to_bytes(8, sys.byteorder) for n in range(len(identifiers)))
    received = len(identifiers) + len(refused)
    return Batch(
        seq, "driver", "", f"digest-{seq}", f"request-{seq}", False, received, 0, as_stream(rows), indexes, bad
    )


def _values(identifier: str, amount: str) -> tuple[str, ...]:
    return (identifier, "acc-1", "mer-1", "grocery", "2026-01-01T12:00:00Z", amount, "EUR", "online")


class Driver:
    """The writer's only caller."""

    def __init__(self) -> None:
        self._contents: asyncio.Queue[Content | None] = asyncio.Queue()

    async def connect(self, socket: Path) -> None:
        """Raises OSError: nobody listens."""
        _, self._connection = await asyncio.get_running_loop().create_unix_connection(
            lambda: FrameConnection(lambda _, content: self._contents.put_nowait(content)), str(socket)
        )
        self._connection.ended.add_done_callback(lambda _: self._contents.put_nowait(None))

    async def ask(self, *requests: Request) -> list[Reply]:
        """The answers to requests sent together, in order of their numbers.

        Raises:
            BenchError: The writer has gone.
        """
        self._connection.send(list(requests))
        replies: list[Reply] = []
        while len(replies) < len(requests):
            content = await self._contents.get()
            if content is None:
                raise BenchError("the writer ended before it answered")
            replies += [reply for reply in decoder.decode(content) if not isinstance(reply, State)]
        return sorted(replies, key=lambda reply: getattr(reply, "seq", 0))

    def close(self) -> None:
        self._connection.close()


@asynccontextmanager
async def writing(
    lake: Path,
    settings: Mapping[str, object],
    log: Path,
    *,
    command: Callable[[Sequence[str]], Sequence[str]] = tuple,
    before_end: Callable[[], None] = lambda: None,
) -> AsyncIterator[Driver]:
    """A writer of the lake at `lake`; ended with SIGTERM and waited for.

    Args:
        lake: The lake's root.
        settings: Of section ``ingest``.
        log: File for its output.
        command: Makes the command to start from the writer's own.
        before_end: Called when the driver has left and the writer still lives.

    Raises:
        BenchError: It did not start, or did not end.
    """
    variables = {f"LAKEHOUSE_INGEST__{name.upper()}": str(value) for name, value in settings.items()}
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "LAKEHOUSE_LAKE__ROOT": str(lake), **variables}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command(WRITER), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=PROJECT_ROOT, env=environment
        )
    try:
        driver = await _connected(lake, process, log)
        yield driver
        driver.close()
        before_end()
        for child in children(process.pid) or [process.pid]:
            os.kill(child, signal.SIGTERM)
        await asyncio.to_thread(process.wait, _STOP_S)
    except subprocess.TimeoutExpired:
        raise BenchError(f"the writer did not end:\n{log.read_text()[-2000:]}") from None
    finally:
        if process.poll() is None:
            for child in children(process.pid):
                os.kill(child, signal.SIGKILL)
            process.kill()
            process.wait()


async def _connected(lake: Path, process: subprocess.Popen[bytes], log: Path) -> Driver:
    deadline, driver = time.monotonic() + _START_S, Driver()
    while time.monotonic() < deadline and process.poll() is None:
        try:
            await driver.connect(socket_path(Lake(lake)))
        except OSError:
            await asyncio.sleep(_POLL_S)
        else:
            return driver
    raise BenchError(f"the writer did not start:\n{log.read_text()[-2000:]}")


def children(process: int) -> list[int]:
    """Processes that a process started and that live."""
    found: list[int] = []
    for thread in Path(f"/proc/{process}/task").iterdir():
        try:
            found += map(int, (thread / "children").read_text().split())
        except OSError:
            continue
    return found
