"""uvicorn's HTTP protocol with bounds it lacks: on a request's head, and on the rest of one that was answered early.

llhttp, the parser, keeps no limit of its own, and uvicorn times only connections that wait between two requests. A peer
that never ends its headers would hold memory and a connection for as long as it likes (the "slowloris" attack), and so
would one that was refused early and never ends its body.
"""

from __future__ import annotations

import asyncio
from typing import cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
# Long enough for a slow link; bodies have the request's own limit.
HEAD_TIMEOUT_S = 10.0
# After an early answer the rest of the body is read and dropped for so long: a peer that is closed upon while it sends
# may not see the answer (RFC 9112, section 9.6).
REST_TIMEOUT_S = 2.0


class BoundedHttp(HttpToolsProtocol):
    """Answers 400 to an endless head; closes connections whose head, or rest of a refused body, does not come."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _body_is_due = False
    _rest_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_rest_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # Bytes of an unfinished head are counted as they come, as the parser says nothing before a header ends.
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES + len(data):
                self.send_400_response("The request's head is too long.")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._too_slow)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MAX_HEADERS or len(name) + len(value) > MAX_HEAD_BYTES:
            raise httptools.HttpParserError("too many or too long headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._body_is_due = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._body_is_due = False
        self._stop_rest_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._body_is_due and self.cycle.response_complete:
            self._rest_timer = self.loop.call_later(REST_TIMEOUT_S, self._too_slow)

    def _stop_rest_timer(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = self._rest_timer = None
        if not self.transport.is_closing():
            self.transport.close()
