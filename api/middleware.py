"""What every request passes through: an id, a time limit, headers, figures, a log line, and errors made answers.

A plain ASGI class, as the busiest path costs a few dozen microseconds in all.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import REFUSED, REQUEST_SECONDS, REQUESTS
from api.problems import MEDIA_TYPE, Problem, problem, timeout, unavailable
from lake.errors import LakehouseError
from lake.settings import ApiSettings

REQUEST_ID = b"x-request-id"
_REQUEST_ID_PATTERN = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Source: OWASP, REST Security Cheat Sheet, "Security headers".
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_SWEEPS_PER_TIMEOUT = 20
_RETRY_AFTER_S = 1
_LAKE_RETRY_AFTER_S = 5
_REFUSED_FROM = 400
_log = structlog.get_logger("lakehouse.api")


@dataclass(slots=True, eq=False)
class _Running:
    task: asyncio.Task[Any]
    ends_at: float
    expired: bool = False


class TimeLimit:
    """Cancels requests that run too long; one timer for all of them, as a timer each costs more than the rest here.

    Args:
        seconds: For a whole request, its body included; ends up to a twentieth of it late.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # All have the same limit, so the order they came in is the order they end in.
        self._running: dict[_Running, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> _Running:
        """Watch the current task from now on."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None, "requests are served in tasks"
        running = _Running(task, loop.time() + self._seconds)
        self._running[running] = None
        if self._timer is None:
            self._timer = loop.call_later(self._seconds / _SWEEPS_PER_TIMEOUT, self._sweep, loop)
        return running

    def end(self, running: _Running) -> None:
        """Watch it no longer."""
        self._running.pop(running, None)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        at = loop.time()
        for running in list(itertools.takewhile(lambda r: r.ends_at <= at, self._running)):
            del self._running[running]
            running.expired = True
            running.task.cancel()
        if self._running:
            self._timer = loop.call_later(self._seconds / _SWEEPS_PER_TIMEOUT, self._sweep, loop)


class RequestFrame:
    """Outermost middleware of the service.

    Args:
        app: What answers.
        settings: `request_timeout_s` and `log_requests`.
    """

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._limit = TimeLimit(settings.request_timeout_s)
        self._log_all = settings.log_requests
        self._prefix = os.urandom(8).hex().encode()
        self._numbers = itertools.count()
        self._figures: dict[tuple[str, int], tuple[Any, Any]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        exchange = _Exchange(self._request_id(scope["headers"]), receive, send)
        state = scope.setdefault("state", {})
        state["request_id"] = exchange.request_id.decode("ascii")
        running = self._limit.begin()
        refusal: Problem | None = None
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Problem as raised:
            refusal = raised
        except asyncio.CancelledError:
            if not running.expired:
                raise
            running.task.uncancel()
            refusal = exchange.too_slow()
        except LakehouseError as error:
            _log.error("lake_unusable", request_id=state["request_id"], what=error.what, where=error.where)
            refusal = unavailable("The lake cannot be used at present.", retry_after_s=_LAKE_RETRY_AFTER_S)
        except Exception:
            if not exchange.gone:
                _log.exception("request_failed", request_id=state["request_id"], route=_route(scope))
                refusal = problem("internal", f"The service failed; its log says why under {state['request_id']}.")
        finally:
            self._limit.end(running)
        if refusal is not None:
            await exchange.refuse(refusal)
        self._account(scope, exchange.status, time.perf_counter() - began, refusal)

    def _request_id(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        for name, value in headers:
            if name == REQUEST_ID and _REQUEST_ID_PATTERN.fullmatch(value):
                return value
        return b"%b-%x" % (self._prefix, next(self._numbers))

    def _account(self, scope: Scope, status: int, seconds: float, refusal: Problem | None) -> None:
        route = _route(scope)
        figures = self._figures.get((route, status))
        if figures is None:
            figures = REQUESTS.labels(route, str(status)), REQUEST_SECONDS.labels(route)
            self._figures[route, status] = figures
        figures[0].inc()
        figures[1].observe(seconds)
        if refusal is not None:
            REFUSED.labels(refusal.slug).inc()
        if self._log_all or status >= _REFUSED_FROM or status == 0:
            key = scope["state"].get("key")
            _log.info(
                "request",
                request_id=scope["state"]["request_id"],
                method=scope["method"],
                route=route,
                status=status,
                duration_ms=round(seconds * 1000, 3),
                key=None if key is None else key.id,
                client=scope["client"][0] if scope.get("client") else None,
                problem=None if refusal is None else refusal.slug,
            )


class _Exchange:
    """One request and its answer, seen from outside: how far each has come."""

    __slots__ = ("_receive", "_send", "gone", "received", "request_id", "started", "status")

    def __init__(self, request_id: bytes, receive: Receive, send: Send) -> None:
        self.request_id = request_id
        self._receive = receive
        self._send = send
        self.status = 0
        self.started = False
        self.received = True
        self.gone = False

    async def receive(self) -> Message:
        # While one waits here the body has not come whole.
        self.received = False
        message = await self._receive()
        self.received = not message.get("more_body", False)
        if message["type"] == "http.disconnect":
            self.gone = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS, (REQUEST_ID, self.request_id)]
        await self._send(message)

    def too_slow(self) -> Problem:
        """What to say when the time is up: whose fault it is."""
        if not self.received:
            return timeout("The request's body did not arrive in time.")
        return unavailable("The answer was not ready in time.", retry_after_s=_RETRY_AFTER_S)

    async def refuse(self, refusal: Problem) -> None:
        """Answer with a problem, unless the answer has begun; then the server closes the connection."""
        if self.started:
            return
        body = refusal.body(f"urn:request:{self.request_id.decode('ascii')}")
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in refusal.headers.items()),
        ]
        with suppress(OSError):
            await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
            await self._send({"type": "http.response.body", "body": body})


def _route(scope: Scope) -> str:
    """The template of the route that matched: never a path, which may hold anything."""
    route = scope.get("route")
    return getattr(route, "path", "unmatched") if route is not None else "unmatched"
