"""Who gets in: keys, scopes, rates over processes, and development mode's door."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from api.main import create_app
from api.problems import Problem
from api.security.guard import OPEN_PATHS, presented_key, scope_needed
from api.security.key_file import revoke_key
from api.security.keys import MAX_KEYS, Scope, read_keys
from api.security.rate_limit import BURST_S, RateLimiter, arrive
from lake.errors import ConfigurationError
from tests.api.front import AT, Caller, bearer, key_in, lake_in, reader, settings_in

PROJECT = Path(__file__).resolve().parents[2]


def service(folder: Path) -> FastAPI:
    lake_in(folder)
    return create_app(settings_in(folder))


def test_without_a_key_only_health_answers(tmp_path: Path) -> None:
    key_in(tmp_path, Scope.READ)
    caller = Caller(service(tmp_path))
    for path in ("/api/v1/tables", "/metrics", "/openapi.json", "/nowhere", "//health", "/health/../metrics", "/"):
        answer = caller.get(path)
        assert (path, answer.status_code) == (path, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert {caller.get(path).status_code for path in OPEN_PATHS} <= {200, 503}


@pytest.mark.parametrize("how", ["wrong", "unknown", "revoked", "expired", "other scheme", "two", "empty"])
def test_a_key_that_lets_nobody_in_is_answered_401(tmp_path: Path, how: str) -> None:
    text = key_in(tmp_path, Scope.ADMIN)
    expired = key_in(tmp_path, Scope.ADMIN, name="old", expires_at=AT + timedelta(days=1))
    if how == "revoked":
        revoke_key(tmp_path / "keys.json", read_keys(tmp_path / "keys.json")[0].id, AT)
    headers = {
        "wrong": {"Authorization": f"Bearer {text[:-1]}{'A' if text[-1] != 'A' else 'E'}"},
        "unknown": {"X-API-Key": f"lhk_aaaaaaaa_{'A' * 43}"},
        "revoked": {"X-API-Key": text},
        "expired": {"Authorization": f"Bearer {expired}"},
        "other scheme": {"Authorization": f"Basic {text}"},
        "two": {"Authorization": f"Bearer {text}", "X-API-Key": text},
        "empty": {"Authorization": "Bearer"},
    }[how]
    answer = Caller(service(tmp_path), headers).get("/api/v1/tables")
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/unauthorized"
    assert text not in answer.text


def test_both_headers_carry_a_key(tmp_path: Path) -> None:
    text = key_in(tmp_path, Scope.READ)
    app = service(tmp_path)
    for headers in ({"Authorization": f"Bearer {text}"}, {"Authorization": f"bearer  {text} "}, {"X-API-Key": text}):
        assert Caller(app, headers).get("/api/v1/tables").status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        (Scope.READ, "GET", "/api/v1/tables", 200),
        (Scope.READ, "GET", "/metrics", 200),
        (Scope.READ, "GET", "/openapi.json", 200),
        (Scope.READ, "POST", "/api/v1/ingest", 403),
        (Scope.READ, "POST", "/api/v1/ingest/batch", 403),
        (Scope.READ, "DELETE", "/api/v1/tables", 403),
        (Scope.INGEST, "GET", "/api/v1/tables", 403),
        (Scope.INGEST, "GET", "/api/v1/transactions/t", 403),
        (Scope.INGEST, "GET", "/metrics", 403),
        (Scope.INGEST, "POST", "/api/v1/ingest", 415),
        (Scope.ADMIN, "GET", "/api/v1/tables", 200),
        (Scope.ADMIN, "POST", "/api/v1/ingest", 415),
        (Scope.ADMIN, "DELETE", "/api/v1/tables", 405),
        (Scope.ADMIN, "GET", "/nowhere", 404),
    ],
)
def test_a_key_may_do_what_its_scope_says(tmp_path: Path, scope: Scope, method: str, path: str, status: int) -> None:
    answer = bearer(service(tmp_path), key_in(tmp_path, scope)).request(method, path)
    assert answer.status_code == status
    if status == 403:
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@given(method=st.text(max_size=8), path=st.text(max_size=20))
def test_what_is_not_foreseen_needs_admin(method: str, path: str) -> None:
    if method not in {"GET", "HEAD", "POST"}:
        assert scope_needed(method, path) is Scope.ADMIN
        assert scope_needed(method, f"/api/v1/{path}") is Scope.ADMIN


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key", b"host"]), st.binary(max_size=30))))
def test_no_header_makes_reading_the_key_fail(headers: list[tuple[bytes, bytes]]) -> None:
    with suppress(Problem):
        assert presented_key(headers) is None or any(name != b"host" for name, _ in headers)


def test_a_corrupt_key_file_refuses_everybody_with_503(tmp_path: Path) -> None:
    text = key_in(tmp_path, Scope.ADMIN)
    app = service(tmp_path)
    (tmp_path / "keys.json").write_bytes(b"{")
    answer = bearer(app, text).get("/api/v1/tables")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert Caller(app).get("/health/live").status_code == 200
    assert Caller(app).get("/health/ready").json()["checks"]["keys"] is False


def test_a_key_asks_no_faster_than_its_own_limit(tmp_path: Path) -> None:
    slow = key_in(tmp_path, Scope.READ, name="slow", requests_per_second=0.01)
    fast = key_in(tmp_path, Scope.READ, name="fast")
    app = service(tmp_path)
    assert bearer(app, slow).get("/api/v1/tables").status_code == 200
    refused = bearer(app, slow).get("/api/v1/tables")
    assert refused.status_code == 429
    assert 90 <= int(refused.headers["retry-after"]) <= 100
    assert refused.headers["ratelimit"].startswith('"key";r=0;t=')
    assert [bearer(app, fast).get("/api/v1/tables").status_code for _ in range(3)] == [200] * 3


_ASK = """
import json, sys, time
from pathlib import Path
from api.security.rate_limit import RateLimiter
limiter = RateLimiter(Path(sys.argv[1]))
limiter.open()
print("ready", flush=True)
sys.stdin.readline()
until = time.monotonic() + float(sys.argv[2])
allowed = 0
while time.monotonic() < until:
    allowed += limiter.ask(1, float(sys.argv[3])).allowed
print(allowed)
"""


def test_two_processes_share_one_limit(tmp_path: Path) -> None:
    seconds, rate = 1.0, 500.0
    command = [sys.executable, "-c", _ASK, str(tmp_path / "limits"), str(seconds), str(rate)]
    asking = [
        subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in asking:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    for process in asking:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    allowed = sum(int(process.communicate()[0]) for process in asking)
    lasted = time.monotonic() - began
    assert rate * (seconds + BURST_S) * 0.9 <= allowed <= rate * (lasted + BURST_S) + 1


def test_a_limit_survives_the_process_that_counted(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    first = RateLimiter(path)
    assert first.ask(MAX_KEYS, 0.5).allowed
    first.close()
    verdict = RateLimiter(path).ask(MAX_KEYS, 0.5)
    assert not verdict.allowed
    assert 0 < verdict.retry_after_s <= 2


RATES = st.floats(0.01, 1e5)


@given(rate=RATES, gaps=st.lists(st.floats(0, 3), min_size=1, max_size=200), began=st.floats(0, 1e7))
def test_no_window_lets_through_more_than_rate_and_burst(rate: float, gaps: list[float], began: float) -> None:
    expected, at, passed = 0.0, began, []
    for gap in gaps:
        at += gap
        expected, verdict = arrive(expected, at, 1 / rate)
        if verdict.allowed:
            passed.append(at)
    burst = max(1.0, BURST_S * rate)
    for start, first in enumerate(passed):
        for end in range(start, len(passed)):
            assert end - start + 1 <= burst + (passed[end] - first) * rate + 1 + 1e-3 * rate


@given(rate=RATES, at=st.floats(1, 1e7))
def test_who_waits_as_told_is_let_through(rate: float, at: float) -> None:
    expected, verdict = 0.0, None
    for _ in range(2_000):
        expected, verdict = arrive(expected, at, 1 / rate)
        if not verdict.allowed:
            break
    if verdict is not None and not verdict.allowed:
        assert arrive(expected, at + verdict.retry_after_s + 1e-6, 1 / rate)[1].allowed


@given(rate=RATES, stale=st.floats(1e3, 1e9), at=st.floats(0, 100))
def test_a_moment_left_from_before_a_reboot_locks_nobody_out(rate: float, stale: float, at: float) -> None:
    assert arrive(at + stale, at, 1 / rate)[1].allowed


def test_development_mode_answers_only_this_machine_directly(tmp_path: Path) -> None:
    lake_in(tmp_path)
    app = reader(tmp_path).app
    assert Caller(app).get("/api/v1/tables").status_code == 200
    assert Caller(app, base_url="http://[::1]:8000", address="::1").get("/api/v1/tables").status_code == 200
    strangers = [
        Caller(app, address="192.0.2.7"),
        Caller(app, base_url="http://rebound.example"),
        Caller(app, base_url="http://127.0.0.1.example"),
        Caller(app, {"Origin": "https://page.example"}),
        Caller(app, {"X-Forwarded-For": "192.0.2.7"}),
    ]
    assert [stranger.get("/api/v1/tables").status_code for stranger in strangers] == [403] * 5


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "lake.example"])
def test_development_mode_and_a_reachable_host_do_not_go_together(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigurationError, match="development mode"):
        create_app(settings_in(tmp_path, development=True, host=host))


def test_a_refusal_repeats_nothing_of_the_request(tmp_path: Path) -> None:
    text = key_in(tmp_path, Scope.READ)
    secret = "s3cr3t-value"
    answer = bearer(service(tmp_path), text).get(f"/api/v1/{secret}?{secret}={secret}", headers={"X-Note": secret})
    assert answer.status_code == 404
    assert secret not in json.dumps(answer.json())
