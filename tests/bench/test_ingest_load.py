"""The load generator: what it sends, what it counts, and what it does when a server refuses or goes away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import orjson
import pyarrow as pa
import pyarrow.ipc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ingest import benchmark
from bench.ingest.bodies import Form, make_bodies
from bench.ingest.client import Load
from bench.ingest.figures import Figures, latency
from bench.ingest.plan import Plan, Target
from bench.ingest.report import notes
from bench.ingest.server import Watch, running
from lake.settings import PROJECT_ROOT
from lake.tables import BRONZE_TRANSACTIONS

HOST = "127.0.0.1"
CREATED = b"201 Created"
BUSY = b"503 Service Unavailable"

# What a server does with the body of its n-th request: an answer in pieces, or None to drop the connection.
Script = Callable[[int, bytes], list[bytes] | None]


def answer(status: bytes, **content: Any) -> list[bytes]:
    body = json.dumps(content).encode()
    return [
        b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)
    ]


def rows_of(form: Form, body: bytes) -> list[dict[str, Any]]:
    if form is Form.ARROW:
        rows: list[dict[str, Any]] = pa.ipc.open_stream(body).read_all().to_pylist()
        return rows
    if form is Form.NDJSON:
        return [orjson.loads(line) for line in body.splitlines()]
    parsed = orjson.loads(body)
    return parsed if isinstance(parsed, list) else [parsed]


def identifier(body: bytes) -> str:
    return str(orjson.loads(body)["transaction_id"])


def driven(script: Script, plan: Plan, form: Form = Form.ROW, rows: int = 1) -> tuple[Figures, Load, list[bytes]]:
    """A load on a server that follows a script; the bodies it received."""
    received: list[bytes] = []
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(cast("asyncio.Task[None]", asyncio.current_task()))
        while head := await _head(reader):
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            received.append(await reader.readexactly(length))
            pieces = script(len(received), received[-1])
            if pieces is None:
                break
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def both() -> tuple[Figures, Load]:
        server = await asyncio.start_server(serve, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        load = Load(Target(HOST, port), make_bodies(form, rows, seed=7), plan)
        async with server:
            figures = await load.drive()
            await asyncio.gather(*handlers)
        return figures, load

    figures, load = asyncio.run(both())
    return figures, load, received


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@pytest.mark.parametrize(("form", "rows"), [(Form.ROW, 1), (Form.JSON, 3), (Form.NDJSON, 40), (Form.ARROW, 500)])
def test_every_row_of_every_request_has_an_identifier_of_its_own(form: Form, rows: int) -> None:
    bodies = make_bodies(form, rows, seed=1)
    numbers = [0, 1, 1_024, 16**8 - 1]
    sent = [[row["transaction_id"] for row in rows_of(form, bodies.body(number))] for number in numbers]
    assert sent == [bodies.identifiers(number) for number in numbers]
    assert len({text for batch in sent for text in batch}) == rows * len(numbers)


def test_two_seeds_share_no_identifier() -> None:
    first, second = (make_bodies(Form.NDJSON, 100, seed) for seed in (1, 2))
    assert not set(first.identifiers(5)) & set(second.identifiers(5))


def test_arrow_rows_have_the_declared_types_and_text_rows_the_same_columns() -> None:
    table = pa.ipc.open_stream(make_bodies(Form.ARROW, 10).body(1)).read_all()
    assert table.schema == pa.schema([pa.field(c.name, c.type) for c in BRONZE_TRANSACTIONS.payload])
    assert list(orjson.loads(make_bodies(Form.ROW).body(1))) == table.column_names


def test_forms_of_one_seed_hold_the_same_rows() -> None:
    json_rows, lines = (rows_of(form, make_bodies(form, 20, 3).body(9)) for form in (Form.JSON, Form.NDJSON))
    assert json_rows == lines


def test_as_many_requests_are_answered_and_acknowledged_as_were_to_be_sent() -> None:
    script = lambda n, _: answer(CREATED, version=n // 10, rows=1)  # noqa: E731
    figures, load, received = driven(script, Plan(connections=4, seconds=20, requests=50))
    assert figures.requests == figures.rows == len(received) == 50
    assert figures.statuses == {"201": 50}
    assert figures.errors == 0
    assert (figures.first_version, figures.last_version) == (0, 5)
    assert sum(figures.per_second) == 50
    assert sorted(number for number, _ in load.acknowledged) == list(range(50))


@given(cuts=st.lists(st.integers(1, 130), max_size=6))
def test_an_answer_is_read_however_it_is_cut(cuts: list[int]) -> None:
    def script(n: int, _: bytes) -> list[bytes]:
        whole = b"".join(answer(CREATED, version=n, rows=1))
        places = [0, *sorted(cuts), len(whole)]
        return [whole[a:b] for a, b in pairwise(places)]

    figures, load, _ = driven(script, Plan(connections=1, seconds=20, requests=2))
    assert figures.errors == 0
    assert load.acknowledged == [(0, 1), (1, 2)]


def test_a_refused_request_is_an_error_and_is_not_acknowledged() -> None:
    script = lambda n, _: answer(BUSY) if n == 2 else answer(CREATED, version=n, rows=1)  # noqa: E731
    figures, load, received = driven(script, Plan(connections=1, seconds=20, requests=4))
    assert figures.statuses == {"201": 3, "503": 1}
    assert figures.errors == 1
    assert [number for number, _ in load.acknowledged] == [0, 2, 3]
    assert len({identifier(body) for body in received}) == 4


def test_with_retry_a_refused_request_is_sent_until_it_is_taken() -> None:
    script = lambda n, _: answer(BUSY) if n in (2, 3) else answer(CREATED, version=n, rows=1)  # noqa: E731
    figures, load, received = driven(script, Plan(connections=1, seconds=20, requests=3, retry=True))
    sent = [identifier(body) for body in received]
    assert figures.statuses == {"201": 3, "503": 2}
    assert sent[1] == sent[2] == sent[3]
    assert load.acknowledged == [(0, 1), (1, 4), (2, 5)]


def test_a_lost_connection_is_replaced_and_its_request_counts_as_unanswered() -> None:
    script = lambda n, _: None if n == 2 else answer(CREATED, version=n, rows=1)  # noqa: E731
    figures, load, received = driven(script, Plan(connections=1, seconds=20, requests=4))
    assert (figures.lost_connections, figures.unanswered, figures.errors) == (1, 1, 1)
    assert [number for number, _ in load.acknowledged] == [0, 2, 3]
    assert len({identifier(body) for body in received}) == 4


def test_with_retry_a_request_whose_connection_was_lost_is_sent_again_under_its_identifier() -> None:
    script = lambda n, _: None if n in (2, 3) else answer(CREATED, version=n, rows=1)  # noqa: E731
    figures, load, received = driven(script, Plan(connections=1, seconds=20, requests=3, retry=True))
    sent = [identifier(body) for body in received]
    assert sent[1] == sent[2] == sent[3]
    assert (figures.lost_connections, figures.unanswered, figures.errors) == (2, 0, 0)
    assert [number for number, _ in load.acknowledged] == [0, 1, 2]


def test_a_connection_announced_to_close_loses_no_request() -> None:
    def script(n: int, _: bytes) -> list[bytes]:
        return [piece.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) for piece in answer(CREATED, version=n, rows=1)]

    figures, load, _ = driven(script, Plan(connections=2, seconds=20, requests=6))
    assert (figures.errors, figures.lost_connections) == (0, 0)
    assert len(load.acknowledged) == 6


def test_a_request_without_an_answer_is_unanswered_when_the_time_is_over() -> None:
    script: Script = lambda n, _: [] if n == 2 else answer(CREATED, version=n, rows=1)  # noqa: E731
    figures, _, _ = driven(script, Plan(connections=1, seconds=0.2, grace_s=0.2))
    assert (figures.requests, figures.unanswered, figures.errors) == (1, 1, 1)


def test_a_batch_counts_the_rows_that_are_in_the_table_and_a_partial_one_is_an_error() -> None:
    answers = [{"committed": 7, "duplicates": 3}, {"committed": 8, "duplicates": 0}, {"committed": 10, "duplicates": 0}]
    script = lambda n, _: answer(CREATED, version=n, **answers[n - 1])  # noqa: E731
    figures, load, _ = driven(script, Plan(connections=1, seconds=20, requests=3), Form.NDJSON, rows=10)
    assert (figures.rows, figures.short_answers, figures.errors) == (28, 1, 1)
    assert [number for number, _ in load.acknowledged] == [0, 2]


def test_a_large_body_arrives_whole() -> None:
    script = lambda n, _: answer(CREATED, version=n, committed=5_000, duplicates=0)  # noqa: E731
    figures, load, received = driven(script, Plan(connections=2, seconds=20, requests=4), Form.ARROW, rows=5_000)
    assert figures.errors == 0
    sent = {row["transaction_id"] for body in received for row in rows_of(Form.ARROW, body)}
    assert sent == {text for number, _ in load.acknowledged for text in load.bodies.identifiers(number)}
    assert len(sent) == 20_000


def test_the_load_ends_when_answers_span_the_versions_asked_for() -> None:
    script = lambda n, _: answer(CREATED, version=100 + n, rows=1)  # noqa: E731
    figures, _, _ = driven(script, Plan(connections=1, seconds=20, versions=10))
    assert (figures.first_version, figures.last_version) == (101, 111)


def test_the_warm_up_is_sent_and_acknowledged_and_not_measured() -> None:
    script = lambda n, _: answer(CREATED, version=n, rows=1)  # noqa: E731
    figures, load, received = driven(script, Plan(connections=2, seconds=0.2, warmup_s=0.2))
    assert 0 < figures.requests < len(received) == len(load.acknowledged)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300))
def test_a_percentile_is_the_least_time_that_its_share_of_all_stays_within(seconds: list[float]) -> None:
    found = latency(seconds)
    ordered = sorted(seconds)
    for share, value in ((0.5, found.p50_ms), (0.9, found.p90_ms), (0.99, found.p99_ms), (1.0, found.max_ms)):
        least = next(s for n, s in enumerate(ordered, 1) if n >= share * len(ordered) - 1e-9)
        assert value == pytest.approx(least * 1e3, abs=0.006)


def test_the_generator_s_process_loads_the_no_op_and_the_watch_sees_it(tmp_path: Path) -> None:
    app = ["uvicorn", "noop:app", "--app-dir", str(PROJECT_ROOT / "bench" / "ingest"), "--log-level", "warning"]
    figures, names = tmp_path / "figures.json", tmp_path / "acknowledged"
    with running(app, {}, tmp_path / "server.log", "/health") as server:
        pids = [process.pid for process in server.processes()]
        options = ["--port", str(server.port), "--path", "/noop", "--requests", "500", "--connections", "8"]
        command = [sys.executable, "-m", "bench.ingest.load", *options, "--json", str(figures)]
        command += ["--acknowledged", str(names)]
        with Watch(server) as watch:
            subprocess.run(command, cwd=PROJECT_ROOT, check=True)
    measured = json.loads(figures.read_text())
    assert (measured["requests"], measured["errors"], measured["acknowledged_rows"]) == (500, 0, 500)
    assert len({line.split()[0] for line in names.read_text().splitlines()}) == 500
    assert len(pids) == 1
    assert not Path(f"/proc/{pids[0]}").exists()
    assert list(watch.peaks.values()) == [watch.peak_bytes]
    assert watch.peak_bytes > 10_000_000
    assert 0 < watch.cpu_s <= watch.machine_cpu_s + 0.1


def run_of(
    case: benchmark.Case, rows_per_s: float, in_table: int = 100, factors: tuple[float, float, float] = (1.0, 3.0, 0.1)
) -> dict[str, Any]:
    table = {"rows": in_table, "identifiers": in_table, "versions": 3, "files": 2, "bytes": 1_000}
    return {
        "case": case.name, "server": case.server, "form": case.form.value, "batch_rows": case.rows,
        "connections": case.connections, "requests": 10, "unanswered": 0, "errors": 0, "cpu_s": 1.0, "seconds": 10.0,
        "requests_per_s": rows_per_s, "rows_per_s": rows_per_s,
        "latency": {"p50_ms": 1.0, "p99_ms": 12.0},
        "sync_ms": 0.2, "other_processes_cores": 0.1, "table": table,
        "rounds": [{"requests_per_s": rows_per_s * factor, "acknowledged_rows": 100, "table": table}
                   for factor in factors],
    }  # fmt: skip


def test_the_notes_compare_with_the_no_op_of_the_same_connections_and_miss_no_row() -> None:
    rates = {"no-op, 64 connections": 1_000.0, "no-op, 256 connections": 2_000.0, "single rows, 64 connections": 700.0}
    cases = (*benchmark.IN_ROUNDS, *benchmark.OTHERS)
    runs = [run_of(case, rates.get(case.name, 500.0)) for case in cases]
    # A round in which the machine was slow for both, and one in which it was for the service alone.
    runs[2] = run_of(cases[2], 700.0, factors=(1.0, 3.0, 1 / 70))
    said = notes(runs)
    assert any(
        line.startswith("single rows, 64 connections: 0.70 of the no-op (goal 0.6), in the rounds 0.70, 0.70, 0.10;")
        for line in said
    )
    assert any(line.startswith("single rows, 256 connections: 0.25 of the no-op") for line in said)
    assert any(
        line.startswith(
            "Arrow IPC: 500 rows/s in batches of 50,000 (goal 1,000,000), in the rounds 25,000,000, 75,000,000"
        )
        for line in said
    )
    assert "2,400 rows were acknowledged, and every case's table holds as many, each identifier once" in said
    runs[-1] = run_of(cases[-1], 500.0, in_table=99)
    assert any("NOT EVERY ACKNOWLEDGED ROW" in line and "99 in the table" in line for line in notes(runs))
