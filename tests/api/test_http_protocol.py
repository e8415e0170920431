"""The bounds on a request's head, over real connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api import http_protocol
from api.http_protocol import MAX_HEAD_BYTES, MAX_HEADERS, BoundedHttp

TIMEOUT_S = 0.5


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with how many bytes of body came."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", TIMEOUT_S)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    config = uvicorn.Config(echo, http=BoundedHttp, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield int(listening.getsockname()[1])
    server.should_exit = True
    thread.join()
    listening.close()


def exchange(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Everything a server answers to parts sent with pauses, until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        answer = b""
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
            while chunk := connection.recv(65_536):
                answer += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
        return answer


HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


def test_a_large_body_in_one_piece_with_its_head_is_no_long_head(port: int) -> None:
    body = b"x" * (5 * MAX_HEAD_BYTES)
    answer = exchange(port, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.endswith(b"\r\n\r\n%d" % len(body))


def test_a_slow_body_is_none_of_this_protocols_business(port: int) -> None:
    answer = exchange(port, HEAD + b"Content-Length: 3\r\n\r\n", b"a", b"b", b"c", pause_s=TIMEOUT_S / 2)
    assert answer.endswith(b"\r\n\r\n3")


@pytest.mark.parametrize(
    "head",
    [
        b"X-A: 1\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"X-A: " + b"a" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n",
        b"X-A: " + b"a" * (4 * MAX_HEAD_BYTES),
    ],
    ids=["many headers", "long header", "header without end"],
)
def test_an_endless_head_is_answered_400_and_the_connection_closed(port: int, head: bytes) -> None:
    parts = [HEAD, *(head[at : at + 16_384] for at in range(0, len(head), 16_384))]
    began = time.monotonic()
    answer = exchange(port, *parts)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("parts", [(), (b"GET / HT",), (HEAD, b"X-A: 1\r\n")], ids=["nothing", "a word", "half a head"])
def test_a_head_that_does_not_come_loses_its_connection(port: int, parts: tuple[bytes, ...]) -> None:
    began = time.monotonic()
    assert exchange(port, *parts) == b""
    assert TIMEOUT_S * 0.8 <= time.monotonic() - began < 4


def test_a_second_request_on_a_connection_has_a_time_of_its_own(port: int) -> None:
    keep = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for _ in range(3):
            connection.sendall(keep)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
            time.sleep(TIMEOUT_S * 0.7)
        connection.sendall(b"GET /")
        assert connection.recv(65_536) == b""
