"""An HTTP proxy before an object store that delays, drops, answers errors and cuts bodies, as networks do."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["delay", "drop", "lost answer", "500", "503", "cut request", "cut answer"]
DELAY_S = 0.3
_HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


class FaultyProxy(ThreadingHTTPServer):
    """Each request fails a number of times before it passes.

    Args:
        upstream: Address of the store.
        fault: How.
        times: How often each method on each path does.
    """

    daemon_threads = True

    def __init__(self, upstream: str, fault: Fault, times: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        parts = urlsplit(upstream)
        self.upstream = (str(parts.hostname), int(parts.port or 80))
        self.fault, self.times = fault, times
        self.failed: Counter[str] = Counter()
        self._turn = threading.Lock()

    def fails(self, request: str) -> bool:
        """Whether this one does; counts it."""
        with self._turn:
            if self.failed[request] >= self.times:
                return False
            self.failed[request] += 1
            return True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultyProxy
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        fault = self.server.fault if self.server.fails(f"{self.command} {self.path}") else None
        body = self.rfile.read(length // 2 if fault == "cut request" else length)
        if fault == "delay":
            time.sleep(DELAY_S)
        if fault in ("drop", "cut request"):
            self.close_connection = True
            return
        if fault in ("500", "503"):
            self._answer(int(fault), {}, b"<Error><Code>InternalError</Code></Error>", 0)
            return
        connection = http.client.HTTPConnection(*self.server.upstream)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        answer = connection.getresponse()
        content, told = answer.read(), answer.headers.get("Content-Length")
        connection.close()
        if fault == "lost answer":
            self.close_connection = True
            return
        headers = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
        size = int(told) if told is not None else len(content)
        if fault == "cut answer" and content:
            self._answer(answer.status, headers, content[: len(content) // 2], size)
            self.close_connection = True
            return
        self._answer(answer.status, headers, content, size)

    def _answer(self, status: int, headers: dict[str, str], content: bytes, size: int) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815


@contextmanager
def faulty(upstream: str, fault: Fault, times: int) -> Iterator[tuple[str, FaultyProxy]]:
    """The address of a proxy, and the proxy itself."""
    with FaultyProxy(upstream, fault, times) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}", proxy
        finally:
            proxy.shutdown()
            thread.join()
