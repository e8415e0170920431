"""A closed loop of keep-alive connections: each sends its next request when its last one was answered.

HTTP/1.1 (RFC 9112) spoken over `asyncio.Protocol` directly, as a client library would take more processor time than
the service measured. Of an answer it reads the status, the length, and what it says about rows and version.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, cast

import orjson

from bench.ingest.answer import read_answer
from bench.ingest.bodies import Bodies
from bench.ingest.figures import Counts, Figures
from bench.ingest.plan import Plan, Target

_SUCCESS = range(200, 300)
# "Come back later": the request was not taken.
_LATER = (429, 503)
_PAUSE_S = 0.05
# Larger bodies are handed over beside the head instead of copied behind it.
_SMALL_BODY_BYTES = 16 * 1024


class Load:
    """One load, driven once.

    Args:
        target: Where to.
        bodies: What is sent.
        plan: How much.

    `acknowledged` holds (request number, version) of every answer of success that took all of its rows, the warm-up's
    included; version is -1 where the answer names none. `sent` is how many numbers were used.
    """

    def __init__(self, target: Target, bodies: Bodies, plan: Plan) -> None:
        self.target, self.bodies, self.plan = target, bodies, plan
        self.acknowledged: list[tuple[int, int]] = []
        self.sent = 0
        self.stopping = False
        self._head = target.head(bodies)
        self._counts = Counts(began=0.0)
        self._busy = plan.connections
        self._finished = asyncio.Event()

    async def drive(self) -> Figures:
        """Send until a bound is reached and every answer is in.

        Raises:
            OSError: No connection could be made at the start.
        """
        connections = [_Connection(self) for _ in range(self.plan.connections)]
        for connection in connections:
            await connection.connect()
        began = self._begin()
        for connection in connections:
            connection.send_next()
        if self.plan.warmup_s:
            await self._wait(self.plan.warmup_s)
            began = self._begin()
        stop = asyncio.get_running_loop().call_later(self.plan.seconds, self.stop)
        await self._wait(self.plan.seconds + self.plan.grace_s)
        stop.cancel()
        cpu_s = time.process_time() - began
        self.stop()
        for connection in connections:
            self._counts.unanswered += connection.close()
        # The event loop closes dropped connections in its next turn.
        await asyncio.sleep(0)
        return Figures.of(self._counts, cpu_s)

    def stop(self) -> None:
        """Send nothing new; `drive` returns when what is out was answered."""
        self.stopping = True

    def next_number(self) -> int | None:
        """The number of the next request; None, once for each connection, when there is none to be sent."""
        if self.stopping or self.sent == self.plan.requests:
            self._busy -= 1
            if not self._busy:
                self._finished.set()
            return None
        self.sent += 1
        return self.plan.first + self.sent - 1

    def request(self, number: int) -> tuple[bytes, ...]:
        """Request `number` in parts."""
        body = self.bodies.body(number)
        head = b"%b%d\r\n\r\n" % (self._head, len(body))
        return (head + body,) if len(body) < _SMALL_BODY_BYTES else (head, body)

    def answered(self, number: int, status: int, body: bytes, sent: float) -> bool:
        """Count an answer; False when the same request is to be sent again."""
        self._counts.answered(status, sent, time.perf_counter())
        if status in _SUCCESS:
            self._taken(number, orjson.loads(body))
        return not (self.plan.retry and status in _LATER)

    def lost(self) -> bool:
        """Count a connection lost with a request under way; True when that is to be sent again."""
        self._counts.lost_connections += 1
        self._counts.unanswered += not self.plan.retry
        return self.plan.retry

    def _taken(self, number: int, answer: dict[str, Any]) -> None:
        """Count what an answer of success says: a row, or how a batch fell apart; the no-op's says nothing."""
        counts, whole = self._counts, self.bodies.rows
        rows = answer.get("rows", answer.get("committed", whole) + answer.get("duplicates", 0))
        version = answer.get("version", -1)
        counts.rows += rows
        if rows == whole:
            self.acknowledged.append((number, version))
        else:
            counts.short_answers += 1
        if version >= 0:
            span = counts.committed(version)
            if self.plan.versions is not None and span >= self.plan.versions:
                self.stop()

    def _begin(self) -> float:
        self._counts = Counts(began=time.perf_counter())
        return time.process_time()

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._finished.wait(), seconds)


class _Connection(asyncio.Protocol):
    """A connection with at most one request under way; when it ends, it is made anew."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._number: int | None = None
        self._sent = 0.0
        self._done = False
        self._connecting: asyncio.Task[None] | None = None
        self._pause: asyncio.TimerHandle | None = None

    async def connect(self) -> None:
        """Open the connection.

        Raises:
            OSError: Nobody listens.
        """
        target = self._load.target
        await asyncio.get_running_loop().create_connection(lambda: self, target.host, target.port)

    def send_next(self) -> None:
        """Send a new request, or rest for good."""
        self._number = self._load.next_number()
        self._sent = 0.0
        self._done = self._number is None
        self._send()

    def close(self) -> int:
        """Drop the connection; how many requests are left without an answer."""
        self._done = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()
        return int(self._number is not None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._received = b""

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        answer = read_answer(data)
        if answer is None:
            self._received = data
            return
        self._received = b""
        number, transport = self._number, self._transport
        if number is None or transport is None:
            return
        taken = self._load.answered(number, answer.status, answer.body, self._sent)
        if taken:
            self._number = None
        if answer.last or transport.get_write_buffer_size():
            transport.abort()
        elif taken:
            self.send_next()
        else:
            self._pause = asyncio.get_running_loop().call_later(_PAUSE_S, self._send)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        if self._pause is not None:
            self._pause.cancel()
        if self._done:
            return
        if self._number is not None and not self._load.lost():
            self._number = None
        self._connecting = asyncio.get_running_loop().create_task(self._connect_again())

    async def _connect_again(self) -> None:
        while not (self._load.stopping and self._number is None):
            try:
                await self.connect()
                break
            except OSError:
                await asyncio.sleep(_PAUSE_S)
        if self._number is None:
            self.send_next()
        else:
            self._send()

    def _send(self) -> None:
        """Send the request under way, again or for the first time; without a connection, the next one does."""
        if self._number is None or self._transport is None:
            return
        self._sent = self._sent or time.perf_counter()
        parts = self._load.request(self._number)
        if len(parts) == 1:
            self._transport.write(parts[0])
        else:
            self._transport.writelines(parts)
