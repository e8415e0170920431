"""What every request passes through: ids, time limits, headers, logs, and errors that tell no secrets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from api.main import create_app
from api.problems import conflict
from api.security.keys import Scope
from lake.errors import ConfigurationError, StorageError
from tests.api.front import Caller, bearer, key_in, settings_in

SECRET = "4929-1234-5678-9012"


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    """A service in development mode with routes that fail, wait and refuse."""
    app = create_app(settings_in(tmp_path, development=True, request_timeout_s=0.3))

    @app.get("/test/defect")
    async def defect(request: Request) -> None:
        payload = SECRET
        raise RuntimeError(f"no field {len(payload)}")

    @app.get("/test/storage")
    async def storage() -> None:
        raise StorageError("disk gone", where="/secret/place")

    @app.get("/test/problem")
    async def refused() -> None:
        raise conflict("The id is taken.")

    @app.get("/test/waits")
    async def waits() -> None:
        await asyncio.sleep(30)

    @app.post("/test/reads")
    async def reads(request: Request) -> int:
        return len(await request.body())

    return app


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_request_id_is_taken_over_when_well_formed_and_made_when_not(app: FastAPI) -> None:
    caller = Caller(app)
    assert caller.get("/health/live", headers={"X-Request-ID": "till-7.A_1"}).headers["x-request-id"] == "till-7.A_1"
    made = [
        caller.get("/health/live", headers={"X-Request-ID": wrong}).headers["x-request-id"]
        for wrong in ("", "a b", 'a"b', b"\xe9", "a" * 65, "<script>")
    ]
    made.append(caller.get("/health/live").headers["x-request-id"])
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", name) for name in made)


@pytest.mark.parametrize("path", ["/health/live", "/test/defect", "/test/problem", "/nowhere"])
def test_every_answer_carries_the_security_headers(app: FastAPI, path: str) -> None:
    headers = Caller(app).get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_a_defect_is_answered_without_its_trace_and_logged_with_it_under_the_request_id(
    app: FastAPI, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = Caller(app).get("/test/defect", headers={"X-Request-ID": "r-1"})
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal"
    assert answer.json()["instance"] == "urn:request:r-1"
    assert "RuntimeError" not in answer.text
    lines = logged(capsys)
    failed = next(line for line in lines if line["event"] == "request_failed")
    assert failed["request_id"] == "r-1"
    assert "RuntimeError: no field 19" in failed["exception"]
    assert SECRET not in json.dumps(lines).replace(f"payload = {SECRET}", "")


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/test/problem", 409, "conflict"),
        ("GET", "/test/storage", 503, "unavailable"),
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/health/", 404, "not-found"),
        ("PUT", "/health", 405, "method-not-allowed"),
        ("HEAD", "/api/v1/tables", 405, "method-not-allowed"),
        ("GET", "/api/v1/anomalies?limit=x", 422, "unprocessable"),
        ("GET", "/docs", 404, "not-found"),
    ],
)
def test_every_refusal_is_a_problem_of_a_kind(app: FastAPI, method: str, path: str, status: int, slug: str) -> None:
    answer = Caller(app).request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    if method != "HEAD":
        document = answer.json()
        assert (document["status"], document["type"]) == (status, f"/problems/{slug}")
        assert "/secret/place" not in answer.text


def test_a_method_not_allowed_names_those_that_are(app: FastAPI) -> None:
    assert Caller(app).request("POST", "/api/v1/tables").headers["allow"] == "GET"


def test_an_answer_that_takes_too_long_is_given_up(app: FastAPI) -> None:
    answer = Caller(app).get("/test/waits")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


def test_a_body_that_does_not_come_is_given_up_with_the_connection(app: FastAPI) -> None:
    async def drips() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield b"x"
            await asyncio.sleep(0.02)

    answer = Caller(app).request("POST", "/test/reads", content=drips())
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"


def asgi(app: FastAPI, path: str, receive: Callable[[], Any]) -> list[Message]:
    """The raw messages a request is answered with."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"text/plain")], "client": ("127.0.0.1", 1),
        "server": None, "scheme": "http", "http_version": "1.1", "root_path": "",
    }  # fmt: skip

    async def serve() -> None:
        await app(scope, receive, send)

    asyncio.run(serve())
    return sent


def test_a_caller_that_has_gone_is_no_failure_of_ours(app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    asgi(app, "/test/reads", gone)
    assert [line["event"] for line in logged(capsys) if line["event"] == "request_failed"] == []


def test_requests_beside_a_slow_one_keep_their_own_time(app: FastAPI) -> None:
    async def ask() -> list[int]:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            slow = asyncio.create_task(client.get("/test/waits"))
            statuses = []
            while not slow.done():
                statuses.append((await client.get("/health/live")).status_code)
                await asyncio.sleep(0.02)
            return [*statuses, (await slow).status_code]

    statuses = asyncio.run(ask())
    assert set(statuses[:-1]) == {200}
    assert statuses[-1] == 503


def test_refused_requests_are_logged_and_good_ones_on_request_without_ids_queries_or_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = key_in(tmp_path, Scope.READ)
    quiet = bearer(create_app(settings_in(tmp_path)), text)
    quiet.get("/health/live")
    quiet.get(f"/api/v1/transactions/{SECRET}")
    quiet.get(f"/{SECRET}?account_id={SECRET}")
    lines = logged(capsys)
    assert [(line["event"], line["route"], line["status"]) for line in lines] == [
        ("request", "/api/v1/transactions/{transaction_id:path}", 404),
        ("request", "unmatched", 404),
    ]
    assert lines[0]["key"] == text.split("_")[1]
    talkative = bearer(create_app(settings_in(tmp_path, log_requests=True)), text)
    talkative.get("/health/live", params={"q": SECRET})
    lines += logged(capsys)
    assert lines[-1] | {"status": 200, "route": "/health/live", "problem": None} == lines[-1]
    everything = json.dumps(lines)
    assert SECRET not in everything
    assert text.split("_", 2)[2] not in everything


def test_requests_are_counted_by_route_and_status(app: FastAPI) -> None:
    caller = Caller(app)

    def count() -> float:
        sample = r'lakehouse_requests_total\{route="/test/problem",status="409"\} (\S+)'
        found = re.search(sample, caller.get("/metrics").text)
        return float(found[1]) if found else 0.0

    before = count()
    for _ in range(3):
        caller.get("/test/problem")
    assert count() == before + 3
    assert 'lakehouse_request_seconds_count{route="/test/problem"}' in caller.get("/metrics").text


def test_without_keys_the_service_does_not_start_and_says_what_to_type(tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path))

    async def start() -> None:
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(ConfigurationError, match="keys create"):
        asyncio.run(start())
