"""Hostile requests over the wire: each is answered with a problem or cut off, and the service stays as it was."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from urllib.parse import quote

import pytest
import zstandard

from bench.faults.service import Service, serving
from infra.ports import LOOPBACK

TIMEOUT_S = 2
MAX_BATCH_BYTES = 4 * 1024 * 1024
MOST_RESIDENT_BYTES = 500 * 1024 * 1024
SETTINGS = {
    "LAKEHOUSE_API__REQUEST_TIMEOUT_S": str(TIMEOUT_S),
    "LAKEHOUSE_API__MAX_BATCH_BYTES": str(MAX_BATCH_BYTES),
    "LAKEHOUSE_API__MAX_BATCH_ROWS": "10000",
}
ROW = {
    "transaction_id": "t-1",
    "account_id": "a-1",
    "merchant_id": "m-1",
    "category": "grocery",
    "occurred_at": "2026-01-01T12:00:00Z",
    "amount": "1.25",
    "currency": "EUR",
    "channel": "online",
}
ONE, MANY = "/api/v1/ingest", "/api/v1/ingest/batch"
JSON, LINES = "application/json", "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
WRONG_VALUES = {
    "NaN": "NaN",
    "infinity": "-Infinity",
    "1e400": "1e400",
    "30 decimals": "0." + "3" * 30,
    "40 digits": "9" * 40,
    "a text that is no amount": '"one euro"',
    "a nested list": "[[[]]]",
    "10,000 digits": "1" * 10_000,
}
WRONG_ROWS: dict[str, dict[str, object]] = {
    "year 99999": {"occurred_at": "99999-01-01T00:00:00Z"},
    "year 0": {"occurred_at": "0000-00-00T00:00:00Z"},
    "February 30": {"occurred_at": "2026-02-30T00:00:00Z"},
    "no zone": {"occurred_at": "2026-01-01T00:00:00"},
    "NUL": {"transaction_id": "t\0"},
    "lone surrogate": {"transaction_id": "t\ud800"},
    "long text": {"merchant_id": "m" * 10_000},
    "a column more": {"_batch_id": "rest/0"},
    "a list for a text": {"currency": ["EUR"]},
    "null": {"channel": None},
}
STRANGE_TEXTS = (
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "' OR '1'='1",
    "'; DROP TABLE bronze.transactions; --",
    "\u202e\u0000\ufffd",
    "%00",
    "${jndi:ldap://localhost/a}",
    "{{7*7}}",
    "a" * 4_000,
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("hostile"), SETTINGS, workers=2) as service:
        yield service


@pytest.fixture(autouse=True)
def unharmed(service: Service) -> Iterator[None]:
    """Every test leaves the service in the same processes, small, and without a trace of Python's in its answers."""
    before = (service.workers(), service.writer())
    yield
    assert (service.workers(), service.writer()) == before
    assert service.get("/health/ready")[0] == 200
    for process in (*before[0], before[1]):
        assert resident_bytes(process) < MOST_RESIDENT_BYTES
    assert "Traceback" not in service.log


def resident_bytes(process: int | None) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def refused(service: Service, path: str, body: bytes, content_type: str, *, expected: set[int], **headers: str) -> None:
    """The answer is a problem with one of the expected statuses."""
    named = {"Content-Type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    status, answered, content = service.ask("POST", path, body, named)
    assert status in expected, (status, content[:300])
    require_problem(status, answered["content-type"], content)


def require_problem(status: int, content_type: str, content: bytes) -> None:
    assert content_type == "application/problem+json"
    problem = json.loads(content)
    assert problem["status"] == status
    assert {"type", "title", "detail"} <= problem.keys()
    assert b"Traceback" not in content
    assert len(content) < 1024 * 1024


def spoken(service: Service, parts: Iterator[bytes], *, patience_s: float = TIMEOUT_S + 4, pause_s: float = 0) -> bytes:
    """All that the service says to raw bytes until it closes the connection; nobody has to wait longer than that."""
    said = b""
    deadline = time.monotonic() + patience_s
    with socket.create_connection((LOOPBACK, service.port)) as connection:
        connection.settimeout(0.01)
        for part in parts:
            assert time.monotonic() < deadline, f"still listening after {patience_s} s: {said[:200]!r}"
            try:
                connection.settimeout(patience_s)
                connection.sendall(part)
                connection.settimeout(max(pause_s, 0.001))
                received = connection.recv(65_536)
            except TimeoutError:
                continue
            except OSError:
                return said
            if not received:
                return said
            said += received
        connection.settimeout(patience_s)
        try:
            while received := connection.recv(65_536):
                said += received
        except (TimeoutError, OSError):
            pass
    return said


def status_of(said: bytes) -> int:
    return int(said.split(b" ", 2)[1])


def head(path: str, *lines: str, content_type: str = JSON) -> bytes:
    return "\r\n".join(
        [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}", *lines, "", ""]
    ).encode()


@pytest.mark.parametrize("name", WRONG_VALUES)
def test_an_amount_that_is_none_is_refused(service: Service, name: str) -> None:
    text = json.dumps(ROW).replace('"1.25"', WRONG_VALUES[name]).encode()
    refused(service, ONE, text, JSON, expected={400, 422})
    refused(service, MANY, text + b"\n", LINES, expected={400, 422})
    refused(service, MANY, b"[" + text + b"]", JSON, expected={400, 422})


@pytest.mark.parametrize("name", WRONG_ROWS)
def test_a_row_that_breaks_a_rule_is_refused(service: Service, name: str) -> None:
    text = json.dumps({**ROW, **WRONG_ROWS[name]}).encode()
    refused(service, ONE, text, JSON, expected={400, 422})
    refused(service, MANY, text + b"\n", LINES, expected={400, 422})


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"transaction_id":['])
def test_nesting_without_end_is_refused(service: Service, opening: str) -> None:
    refused(service, ONE, (opening * 3_000).encode(), JSON, expected={400, 422})
    refused(service, MANY, (opening * 100_000).encode(), JSON, expected={400, 422})
    refused(service, MANY, (opening * 100_000).encode(), LINES, expected={400, 422})


def test_a_text_of_10_mb_is_refused(service: Service) -> None:
    text = json.dumps(ROW | {"merchant_id": "m" * 10_000_000}).encode()
    refused(service, ONE, text, JSON, expected={413})
    refused(service, MANY, text, LINES, expected={413})
    refused(service, MANY, text[: MAX_BATCH_BYTES - 1], LINES, expected={400, 422})


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_bomb_is_refused_before_it_grows(service: Service, coding: str) -> None:
    large = bytes(256 * 1024 * 1024)
    bomb = gzip.compress(large, 1) if coding == "gzip" else zstandard.compress(large)
    refused(service, MANY, bomb, LINES, expected={413}, Content_Encoding=coding)
    refused(service, ONE, bomb[:60_000], JSON, expected={400, 413}, Content_Encoding=coding)
    refused(service, MANY, bomb[: len(bomb) // 2], LINES, expected={400, 413}, Content_Encoding=coding)
    refused(service, MANY, b"not compressed", LINES, expected={400}, Content_Encoding=coding)
    refused(service, MANY, b"{}", LINES, expected={415}, Content_Encoding=f"{coding}, br")


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"ARROW1\x00\x00", b"\xff\xff\xff\xff\xff\xff\xff\x7f" * 100])
@pytest.mark.parametrize("content_type", [JSON, LINES, ARROW])
def test_bytes_that_are_nothing_are_refused(service: Service, body: bytes, content_type: str) -> None:
    refused(service, MANY, body, content_type, expected={400, 422})


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", "x" * 5_000, "application/json;" * 100])
def test_an_unknown_content_type_is_refused(service: Service, content_type: str) -> None:
    body = b"<?xml version='1.0'?>"
    refused(service, ONE, body, content_type, expected={400, 415})
    refused(service, MANY, body, content_type, expected={400, 415, 422})


@pytest.mark.parametrize("text", STRANGE_TEXTS)
def test_strange_texts_find_nothing_and_reach_nothing(service: Service, text: str) -> None:
    given = quote(text, safe="")
    row = json.dumps(dict.fromkeys(ROW, text) | {"occurred_at": ROW["occurred_at"], "amount": "1"}).encode()
    assert service.ingest(row)[0] in (400, 422, 413)
    paths = [
        f"/api/v1/transactions/{given}",
        f"/api/v1/kpis/{given}",
        f"/{given}",
        *(f"/api/v1/anomalies?{name}={given}" for name in ("rule", "account_id", "merchant_id", "from", "cursor")),
        *(f"/api/v1/kpis/feature_adoption?{name}={given}" for name in ("on", "from", "version", "limit", "cursor")),
    ]
    for path in paths:
        status, headers, content = service.ask("GET", path)
        assert status in (400, 404, 422), (path, status)
        require_problem(status, headers["content-type"], content)
        assert b"root:" not in content


def test_a_row_of_strange_but_valid_texts_comes_back_as_it_was(service: Service) -> None:
    row = ROW | {"transaction_id": "'; DROP TABLE x; --/../é\u202e", "merchant_id": "${a}{{b}}"}
    assert service.ingest(json.dumps(row).encode())[0] == 201
    status, content = service.get(f"/api/v1/transactions/{quote(row['transaction_id'], safe='')}")
    assert status == 200
    assert json.loads(content)["bronze"]["rows"][0]["values"]["merchant_id"] == "${a}{{b}}"


def test_a_body_of_one_byte_a_second_is_ended_in_time(service: Service) -> None:
    began = time.monotonic()
    said = spoken(service, chain([head(ONE, "Content-Length: 60")], repeat(b"1", 30)), pause_s=1)
    assert time.monotonic() - began < TIMEOUT_S + 3
    assert said == b"" or status_of(said) == 408


def test_a_body_shorter_than_it_says_is_ended_in_time(service: Service) -> None:
    began = time.monotonic()
    said = spoken(service, iter([head(ONE, "Content-Length: 1000") + b"{}"]))
    assert time.monotonic() - began < TIMEOUT_S + 3
    assert said == b"" or status_of(said) == 408


def test_a_body_longer_than_it_says_is_not_read_as_rows(service: Service) -> None:
    said = spoken(service, iter([head(ONE, "Content-Length: 2") + b"{}" + b"smuggled" * 10]))
    assert status_of(said) in (400, 422)
    assert b"HTTP/1.1 20" not in said


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", str(2**80), "5, 6"])
def test_a_length_that_is_none_is_refused(service: Service, length: str) -> None:
    said = spoken(service, iter([head(ONE, f"Content-Length: {length}") + b"{}"]))
    assert said == b"" or status_of(said) in (400, 413)


def test_length_and_chunks_at_once_are_not_believed_twice(service: Service) -> None:
    smuggled = (
        head(ONE, "Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\nGET /health/live HTTP/1.1\r\n\r\n"
    )
    said = spoken(service, iter([smuggled]))
    assert said == b"" or status_of(said) in (400, 422)


def test_chunks_without_end_are_refused_at_the_limit_and_then_cut_off(service: Service) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    said = spoken(service, chain([head(MANY, "Transfer-Encoding: chunked", content_type=LINES)], repeat(chunk)))
    assert said == b"" or status_of(said) == 413


def test_a_caller_who_was_refused_cannot_hold_the_connection_with_the_rest_of_a_body(service: Service) -> None:
    began = time.monotonic()
    refused_at_once = head(ONE, "Content-Length: 1000000", content_type="text/plain")
    said = spoken(service, chain([refused_at_once], repeat(b"x")), pause_s=0.2)
    assert status_of(said) == 415
    assert time.monotonic() - began < TIMEOUT_S + 3


def test_an_endless_head_is_cut_off(service: Service) -> None:
    said = spoken(service, chain([b"GET /health/live HTTP/1.1\r\nX-A: "], repeat(b"a" * 65_536, 200)))
    assert said == b"" or status_of(said) in (400, 431)
    many = b"".join(b"X-%d: 1\r\n" % n for n in range(10_000))
    said = spoken(service, iter([b"GET /health/live HTTP/1.1\r\nHost: a\r\n" + many + b"\r\n"]))
    assert said == b"" or status_of(said) in (400, 431)


def test_requests_sent_together_are_answered_in_order(service: Service) -> None:
    rows = [json.dumps(ROW | {"transaction_id": f"pipelined-{n}"}).encode() for n in range(20)]
    last = head(ONE, f"Content-Length: {len(rows[0])}", "Connection: close") + rows[0]
    said = spoken(service, iter([b"".join(head(ONE, f"Content-Length: {len(r)}") + r for r in rows) + last]))
    assert said.count(b"HTTP/1.1 201") == 21
    places = [said.index(f'"pipelined-{n}"'.encode()) for n in range(20)]
    assert places == sorted(places)


def test_what_is_not_http_is_cut_off(service: Service) -> None:
    for rubbish in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\0" * 1_000,
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):
        said = spoken(service, iter([rubbish]), patience_s=12)
        assert said == b"" or status_of(said) in (400, 404, 405, 505)
