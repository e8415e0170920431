"""A worker's way to the writer: starts one when there is none, and asks again when it dies.

A request is kept until it is answered. When the connection breaks, what is unanswered is sent once more to the writer
that comes next: it has read the ledger back from the table, so a row that was committed is answered from there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from api import metrics
from api.writer.frames import FrameConnection
from api.writer.place import socket_path
from api.writer.protocol import (
    BatchCommitted,
    Committed,
    Reply,
    Request,
    State,
    replies_decoder,
)
from lake.lake import Lake
from lake.settings import Settings

logger = logging.getLogger("lakehouse.ingest")

_RETRY_S = 0.05
_START_AGAIN_AFTER_S = 2.0
_GIVE_UP_STOPPING_S = 60.0


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """How the writer is, as it said last.

    Args:
        connected: Whether there is a connection.
        version: Newest version of bronze.transactions; None before the writer said so.
        queued_rows: Rows accepted and not committed.
        queued_bytes: Their bytes.
        last_commit_s_ago: Seconds since the last commit; None without one.
        failing: Why the last group was not committed; empty when it was.
    """

    connected: bool
    version: int | None = None
    queued_rows: int = 0
    queued_bytes: int = 0
    last_commit_s_ago: float | None = None
    failing: str = ""


class WriterClient:
    """One connection to the writer of a lake, for one event loop.

    Args:
        settings: Name the lake.
    """

    def __init__(self, settings: Settings) -> None:
        self._lake = Lake(settings.lake.root)
        self._waiting: dict[int, tuple[Request, asyncio.Future[Reply]]] = {}
        self._outgoing: list[Request] = []
        self._unanswered: set[asyncio.Future[None]] = set()
        self._next = 0
        self._connection: FrameConnection | None = None
        self._state: State | None = None
        self._task: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._starts = 0

    async def start(self) -> None:
        """Begin to connect; requests wait until it is done."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._stay_connected())

    async def stop(self) -> None:
        """Wait for the answers that are due, then leave."""
        until = time.monotonic() + _GIVE_UP_STOPPING_S
        while self._waiting and time.monotonic() < until:
            await asyncio.sleep(_RETRY_S)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            self._connection.close()

    def status(self) -> WriterStatus:
        """How the writer is."""
        connected, said = self._connection is not None, self._state
        if said is None:
            return WriterStatus(connected)
        ago = said.last_commit_s_ago
        return WriterStatus(connected, said.version, said.queued_rows, said.queued_bytes, ago, said.failing)

    async def ask(self, make: Callable[[int], Request]) -> Reply:
        """The writer's answer to a request, which `make` makes once it has a number."""
        self._next = seq = self._next + 1
        request = make(seq)
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting[seq] = (request, future)
        if not self._outgoing:
            # One frame for all that ask in the same turn of the loop.
            self._loop.call_soon(self._send)
        self._outgoing.append(request)
        try:
            return await future
        finally:
            self._waiting.pop(seq, None)

    def send(self, make: Callable[[int], Request]) -> None:
        """Hand over a request whose caller does not wait; stopping does."""

        async def finish() -> None:
            reply = await self.ask(make)
            if not isinstance(reply, Committed | BatchCommitted):
                logger.error("an accepted request was not committed: %s", type(reply).__name__)

        task = asyncio.ensure_future(finish())
        self._unanswered.add(task)
        task.add_done_callback(self._unanswered.discard)

    def _send(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._connection is not None:
            self._connection.send(outgoing)

    async def _stay_connected(self) -> None:
        while True:
            try:
                _, connection = await self._loop.create_unix_connection(
                    lambda: FrameConnection(lambda _, content: self._take(replies_decoder.decode(content))),
                    str(socket_path(self._lake)),
                )
            except OSError:
                self._start_writer()
                await asyncio.sleep(_RETRY_S)
                continue
            self._connection = connection
            self._outgoing.clear()
            if self._waiting:
                connection.send([request for request, _ in self._waiting.values()])
            try:
                await connection.ended
            finally:
                self._connection = None
                connection.close()
            logger.warning("the writer has gone; %d requests wait for the next", len(self._waiting))

    def _take(self, replies: list[Reply]) -> None:
        for reply in replies:
            if isinstance(reply, State):
                self._state = reply
                continue
            waiting = self._waiting.get(reply.seq)
            if waiting is not None and not waiting[1].done():
                waiting[1].set_result(reply)

    def _start_writer(self) -> None:
        """Start a writer, unless one that this worker started is on its way; of several, one gets the lock."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is None:
            return
        if now - self._started_at < _START_AGAIN_AFTER_S and self._process is not None:
            return
        self._started_at = now
        self._starts += 1
        if self._starts > 1:
            metrics.WRITER_RESTARTS.inc()
        # A session of its own: Ctrl-C in a terminal ends the workers, whose last rows it still has to commit.
        # Groups are small: waking threads costs more than they save.
        environment = {"POLARS_MAX_THREADS": "1", **os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "api.writer"], stdin=subprocess.DEVNULL, start_new_session=True, env=environment
        )
