"""`lakehouse bench medallion`: this pipeline beside the textbook one, on the same generated files, in one run."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.measure import Measured, measure
from lake.settings import PROJECT_ROOT

EVENTS_AT_SCALE_ONE = 500_000
DEFAULT_EVENTS = (500_000, 5_000_000, 10_000_000)
# Above this the textbook pipeline needs more memory and time than the comparison is worth.
MOST_TEXTBOOK_EVENTS = 5_000_000
_MIB = 1024 * 1024
_START_PREFECT = (
    "from tasks.prefect_server import PrefectServer\nwith PrefectServer() as server: server.wait_until_healthy()"
)


def bench_medallion(events: int | None = None) -> dict[str, Any]:
    """Measure at 0.5, 5 and 10 million events, or at `events` alone.

    Returns:
        `table`: a row per size and pipeline; `notes`: ratios in words; `runs`: every figure.

    Raises:
        BenchError: A pipeline failed.
    """
    runs: list[dict[str, Any]] = []
    for size in (events,) if events else DEFAULT_EVENTS:
        with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
            runs += _at_size(size, Path(folder))
    return {"table": [_row(run) for run in runs], "notes": _notes(runs), "runs": runs}


def _at_size(events: int, folder: Path) -> list[dict[str, Any]]:
    environment = {
        "PYTHONPATH": str(PROJECT_ROOT),
        "LAKEHOUSE_GENERATE__SCALE": str(events / EVENTS_AT_SCALE_ONE),
        "LAKEHOUSE_GENERATE__THREADS": "1",
    }
    python = sys.executable
    generated = measure([python, "-m", "cli", "generate", "--json"], environment, folder / "generate.log")
    rows = sum(table["rows"] for table in json.loads(generated.output))
    starts = [measure([python, "-c", _START_PREFECT], environment, folder / "prefect.log").seconds for _ in range(2)]
    environment["LAKEHOUSE_GENERATE__ENABLED"] = "false"
    run = measure([python, "-m", "cli", "run", "--json"], environment, folder / "run.log")
    shutil.rmtree(folder / "data/lake")
    plain = measure([python, "-m", "bench.plain"], environment, folder / "plain.log")
    runs = [
        _run("generate (one thread)", events, rows, generated),
        _run("lakehouse run", events, rows, run)
        | _gates(run)
        | {"first_start_seconds": round(starts[0] - starts[1], 2)},
        _run("lakehouse land + build", events, rows, plain) | _gates(plain),
    ]
    if events <= MOST_TEXTBOOK_EVENTS:
        command = [python, "-m", "bench.textbook", "data/inbox", "textbook.db", "textbook"]
        runs.append(_run("textbook (pandas + SQLite)", events, rows, measure(command, environment, folder / "t.log")))
    return runs


def _gates(measured: Measured) -> dict[str, float]:
    steps = json.loads(measured.output)["steps"]
    return {"gates_seconds": round(sum(s["seconds"] for s in steps if s["name"].startswith("check ")), 2)}


def _run(name: str, events: int, rows: int, measured: Measured) -> dict[str, Any]:
    return {
        "pipeline": name,
        "events": events,
        "rows": rows,
        "seconds": round(measured.seconds, 2),
        "peak_mib": round(measured.peak_bytes / _MIB),
    }


def _row(run: dict[str, Any]) -> dict[str, str]:
    return {
        "pipeline": run["pipeline"],
        "events": f"{run['events']:,}",
        "all_rows": f"{run['rows']:,}",
        "seconds": f"{run['seconds']:.1f}",
        "peak_MiB": f"{run['peak_mib']:,}",
        "gates_s": f"{run['gates_seconds']:.1f}" if "gates_seconds" in run else "",
        "rows_per_s": f"{run['rows'] / run['seconds']:,.0f}",
    }


def _notes(runs: list[dict[str, Any]]) -> list[str]:
    notes = []
    for size in sorted({run["events"] for run in runs}):
        generated, ours, plain, *peer = (run for run in runs if run["events"] == size)
        overhead = ours["seconds"] - plain["seconds"]
        notes += [
            f"{size:,} events: generated and written at {generated['rows'] / generated['seconds']:,.0f} rows/s",
            f"{size:,} events: Prefect takes {overhead:.1f} s of {ours['seconds']:.1f} s, the first run in a folder "
            f"{ours['first_start_seconds']:.1f} s more",
            f"{size:,} events: gates take {ours['gates_seconds'] / ours['seconds']:.0%} of the run, "
            f"{plain['gates_seconds'] / plain['seconds']:.0%} without Prefect",
        ]
        notes += [
            f"{size:,} events: {name} is {peer[0]['seconds'] / own['seconds']:.1f} times faster than the textbook "
            f"pipeline in {own['peak_mib'] / peer[0]['peak_mib']:.2f} of its memory"
            for name, own in (("lakehouse run", ours), ("land + build", plain))
            if peer
        ]
    whole = [run for run in runs if run["pipeline"] == "lakehouse run"]
    for small, large in pairwise(whole):
        growth, data = large["seconds"] / small["seconds"], large["events"] / small["events"]
        notes.append(
            f"{small['events']:,} → {large['events']:,} events: {data:g} times the data, {growth:.1f} the time"
        )
    return notes
