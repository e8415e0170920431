"""The writer process: takes requests from HTTP workers, commits them in groups, and answers.

The event loop reads and writes sockets; one thread commits. What is accepted is bounded (GroupQueue): beyond it the
answer is Busy at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

from api import metrics
from api.writer.frames import Content, FrameConnection
from api.writer.group import Answer, Done, GroupCommit
from api.writer.protocol import (
    Batch,
    Busy,
    Failed,
    Reply,
    Request,
    State,
    requests_decoder,
)
from api.writer.queue import GroupQueue
from lake.durable import NameNotKeptError
from lake.errors import LakehouseError
from lake.settings import IngestSettings

logger = logging.getLogger("lakehouse.ingest")

_STATE_EVERY_S = 0.25
# Workers that restart come back within this time; the ledger need not be read again for them.
_LONELY_S = 3.0
_ROW_BYTES = 200
_RETRY_AFTER_S = 1
_FLUSH_S, _FLUSH_LOOK_S = 5.0, 0.01
_EXIT_NOT_KEPT = 74  # EX_IOERR of sysexits.h


_Item = tuple[FrameConnection, Request]


class WriterServer:
    """Serves one lake until nobody is connected any more, or until told to end.

    Args:
        commit: Carries out groups.
        settings: Bounds.
    """

    def __init__(self, commit: GroupCommit, settings: IngestSettings) -> None:
        self._commit, self._settings = commit, settings
        self._queue: GroupQueue[_Item] = GroupQueue(settings)
        self._callers: set[FrameConnection] = set()
        self._last_commit = 0.0
        self._failing = ""
        self._keeper: subprocess.Popen[bytes] | None = None
        self._kept_version = commit.bronze.version
        self._ending = asyncio.Event()

    async def run(self, socket: Path) -> None:
        """Listen until the end; everything accepted has been committed or refused when this returns."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._ending.set)
        socket.unlink(missing_ok=True)
        server = await self._loop.create_unix_server(lambda: FrameConnection(self._accept, self._greet), socket)
        socket.chmod(0o600)
        committing = threading.Thread(target=self._commit_groups, name="commit")
        committing.start()
        try:
            await self._tell_state_until_the_end()
        finally:
            self._queue.close()
            await asyncio.to_thread(committing.join)
            # Answers scheduled by the last group.
            await asyncio.sleep(0)
            await self._flush()
            for caller in self._callers:
                caller.close()
            server.close()
            socket.unlink(missing_ok=True)

    async def _tell_state_until_the_end(self) -> None:
        """Workers hear how the writer is; it ends when alone, or a bounded time after it was told to."""
        lonely_since = time.monotonic()
        told_at: float | None = None
        while True:
            now = time.monotonic()
            if self._callers:
                lonely_since = now
            if self._ending.is_set() and told_at is None:
                told_at = now
            patience = 0.0 if told_at is not None else _LONELY_S
            if now - lonely_since > patience and not self._callers and self._queue.load().rows == 0:
                return
            if told_at is not None and now - told_at > self._settings.drain_s:
                return
            state = self._state()
            for caller in self._callers:
                caller.send([state])
            metrics.INGEST_QUEUE_ROWS.set(state.queued_rows)
            metrics.INGEST_QUEUE_BYTES.set(state.queued_bytes)
            await asyncio.sleep(_STATE_EVERY_S)

    def _state(self) -> State:
        load = self._queue.load()
        ago = time.monotonic() - self._last_commit if self._last_commit else None
        return State(self._commit.bronze.version, load.rows, load.size_bytes, ago, self._failing)

    async def _flush(self) -> None:
        until = time.monotonic() + _FLUSH_S
        while any(caller.unsent() for caller in self._callers) and time.monotonic() < until:
            await asyncio.sleep(_FLUSH_LOOK_S)

    def _greet(self, caller: FrameConnection) -> None:
        self._callers.add(caller)
        caller.ended.add_done_callback(lambda _: self._callers.discard(caller))
        caller.send([self._state()])

    def _accept(self, caller: FrameConnection, content: Content) -> None:
        refused: list[Reply] = []
        for request in requests_decoder.decode(content):
            if isinstance(request, Batch):
                rows, size = max(request.received, 1), len(request.rows) + _ROW_BYTES
                self._commit.ahead.begin(request)
            else:
                rows, size = 1, _ROW_BYTES
            if not self._queue.offer((caller, request), rows, size):
                self._commit.ahead.forget([request])
                refused.append(Busy(request.seq, _RETRY_AFTER_S))
        if refused:
            caller.send(refused)

    def _commit_groups(self) -> None:
        while (group := self._queue.take()) is not None:
            callers = {id(request): caller for caller, request in group}
            told: dict[FrameConnection, list[Reply]] = defaultdict(list)
            for request, reply in self._answers([request for _, request in group]):
                told[callers[id(request)]].append(reply)
            self._loop.call_soon_threadsafe(_tell, told)
            self._keep_house()

    def _answers(self, requests: list[Request]) -> list[Answer]:
        began = time.monotonic()
        try:
            done = self._commit.carry_out(requests)
        except NameNotKeptError as error:
            # The rows are there, and may not outlast a power cut: only a new look at the table can say more.
            logger.critical("the disk did not keep a commit: %s", error)
            os._exit(_EXIT_NOT_KEPT)
        except (OSError, LakehouseError) as error:
            self._failing = error.what if isinstance(error, LakehouseError) else str(error.strerror)
            logger.error("a group of %d requests was not committed: %s", len(requests), error)
            return [(r, Failed(r.seq, self._failing)) for r in requests]
        self._failing = ""
        self._last_commit = time.monotonic()
        self._count(done, self._last_commit - began)
        return done.answers

    def _count(self, done: Done, seconds: float) -> None:
        balance = done.balance
        if balance.published:
            metrics.COMMIT_SECONDS.observe(seconds)
            metrics.COMMIT_ROWS.observe(balance.published)
        metrics.ROWS_COMMITTED.inc(balance.published)
        metrics.ROWS_DUPLICATE.inc(balance.duplicates)
        metrics.ROWS_QUARANTINED.inc(balance.quarantined)
        metrics.COMMIT_CONFLICTS.inc(done.lost_races)
        metrics.LEDGER_IDS.set(len(self._commit.ledger))

    def _keep_house(self) -> None:
        """Checkpoints and compaction, in a process of their own that ends with its round."""
        if self._keeper is not None and self._keeper.poll() is None:
            return
        due = min(self._settings.checkpoint_commits, self._settings.compact_files)
        if self._commit.bronze.version - self._kept_version >= due:
            self._kept_version = self._commit.bronze.version
            self._keeper = subprocess.Popen([sys.executable, "-m", "api.keeper"], stdin=subprocess.DEVNULL)


def _tell(told: dict[FrameConnection, list[Reply]]) -> None:
    for caller, replies in told.items():
        caller.send(replies)
