"""`lakehouse bench ingest`: the service under load, beside the naive one and the framework's no-op, in one run."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from bench.ingest import naive
from bench.ingest.bodies import Form
from bench.ingest.chart import draw
from bench.ingest.drive import Volume, drive
from bench.ingest.report import notes, row
from bench.ingest.server import Server, Watch, running
from bench.ingest.service import contents, serving

# HTTP processes of the no-op and of the service; the naive service gets as many.
WORKERS = 1
SECONDS = 10.0
WARMUP_S = 2.0
# What `--rows` is counted against: this many measure for SECONDS a case, half of them for half the time.
ROWS = 1_000_000
# Cases with a goal, and what they are measured against, in turn: all see the same machine; the middle one counts.
ROUNDS = 3
# As our service runs it.
_UVICORN = (
    "--workers", str(WORKERS), "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header",
    "--log-level", "warning",
)  # fmt: skip
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """One load on one server.

    Args:
        name: In the table.
        server: noop, naive, ours, or open: ours without keys.
        form: What requests carry.
        rows: Rows of each.
        connections: Requests under way at a time.
        path: Endpoint; None for the service's own of the form.
    """

    name: str
    server: str
    form: Form
    rows: int
    connections: int
    path: str | None = None


NOOP = tuple(Case(f"no-op, {n} connections", "noop", Form.ROW, 1, n, "/noop") for n in (64, 256))
SINGLE = tuple(Case(f"single rows, {n} connections", "ours", Form.ROW, 1, n) for n in (64, 256))
BATCHES = (
    Case("NDJSON of 10,000 rows", "ours", Form.NDJSON, 10_000, 8),
    Case("Arrow IPC of 50,000 rows", "ours", Form.ARROW, 50_000, 8),
)
IN_ROUNDS = (*NOOP, *SINGLE, *BATCHES)
OTHERS = (
    Case("no-op that parses the row", "naive", Form.ROW, 1, 256, "/parse"),
    Case("single rows without a key", "open", Form.ROW, 1, 256),
    Case("naive service, 64 connections", "naive", Form.ROW, 1, 64),
    Case("NDJSON of 1,000 rows", "ours", Form.NDJSON, 1_000, 16),
    Case("JSON array of 1,000 rows", "ours", Form.JSON, 1_000, 16),
    Case("Arrow IPC of 10,000 rows", "ours", Form.ARROW, 10_000, 8),
)


def bench_ingest(rows: int | None = None) -> dict[str, Any]:
    """Measure every case for ten seconds, by `rows` per million of them.

    Returns:
        `table`: a row per case; `notes`: the goals in words; `runs`: every figure; `chart`: draws them.

    Raises:
        BenchError: A server did not start or stop.
    """
    seconds = max(1.0, SECONDS * (rows or ROWS) / ROWS)
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        place = Path(folder)
        turns = [
            {case: _run(case, seconds, place / f"{turn}-{index}") for index, case in enumerate(IN_ROUNDS)}
            for turn in range(ROUNDS)
        ]
        middle = [_middle([turn[case] for turn in turns]) for case in IN_ROUNDS]
        runs = middle + [_middle([_run(case, seconds, place / f"{index}")]) for index, case in enumerate(OTHERS)]
    figures = {"workers": WORKERS, "seconds": seconds, "runs": runs}
    table = [row(run) for run in runs]
    return figures | {"table": table, "notes": notes(runs), "chart": lambda target: draw(runs, target)}


def _run(case: Case, seconds: float, folder: Path) -> dict[str, Any]:
    """Start a server on a fresh table, load it, stop it, count its rows; nothing of it is left for the next case."""
    folder.mkdir()
    if case.server in ("ours", "open"):
        with serving(folder, WORKERS, with_key=case.server == "ours") as (server, key):
            run = _load(case, server, key, seconds, folder)
        found = asdict(contents(folder / "lake"))
    else:
        table = folder / "table"
        write_deltalake(str(table), pa.table({c.name: [] for c in naive.SCHEMA}, schema=naive.SCHEMA))
        arguments = ["uvicorn", f"{case.server}:app", "--app-dir", str(Path(__file__).parent), *_UVICORN]
        with running(arguments, {naive.TABLE_VARIABLE: str(table)}, folder / "peer.log", "/health") as server:
            run = _load(case, server, None, seconds, folder)
        delta = DeltaTable(str(table))
        found = {"rows": delta.count(), "files": len(delta.file_uris()), "versions": delta.version() + 1}
    shutil.rmtree(folder)
    return run | {"table": found}


def _load(case: Case, server: Server, key: str | None, seconds: float, folder: Path) -> dict[str, Any]:
    volume = Volume(case.form, case.rows, case.connections, seconds, min(WARMUP_S, seconds), path=case.path)
    sync_ms = _sync_ms(folder)
    with Watch(server) as watch:
        figures = drive(volume, server.port, key, folder)
    named = {"case": case.name, "server": case.server, "form": case.form.value, "batch_rows": case.rows}
    measured = {"server_cpu_s": round(watch.cpu_s, 2), "peak_mb": round(watch.peak_bytes / _MB)}
    measured |= {"sync_ms": sync_ms, "other_processes_cores": watch.other_cores(figures["process_cpu_s"])}
    return named | {"connections": case.connections} | figures | measured


def _middle(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The run of the middle rate; errors are those of all runs, `rounds` what the report asks of each in turn."""
    ordered = sorted(runs, key=lambda run: float(run["requests_per_s"]))
    rounds = [{name: run[name] for name in ("requests_per_s", "acknowledged_rows", "table")} for run in runs]
    return ordered[len(ordered) // 2] | {"errors": sum(run["errors"] for run in runs), "rounds": rounds}


def _sync_ms(folder: Path) -> float:
    """Milliseconds that one small write and its sync take on this disk, the middle of 50."""
    times = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(b"\0" * 4_096)
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return round(statistics.median(times) * 1e3, 3)
