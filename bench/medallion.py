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
from lake.settings import PROJECT_ROOT, GenerateSettings
from tasks.generation import generate

EVENTS_AT_SCALE_ONE = 500_000
DEFAULT_EVENTS = (500_000, 5_000_000, 10_000_000)
# Above this the textbook pipeline needs more memory and time than the comparison is worth.
MOST_TEXTBOOK_EVENTS = 5_000_000
_MIB = 1024 * 1024


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
    inbox = folder / "inbox"
    report = generate(GenerateSettings(scale=events / EVENTS_AT_SCALE_ONE), inbox)
    rows = sum(report.rows.values())
    environment = {
        "PYTHONPATH": str(PROJECT_ROOT),
        "LAKEHOUSE_GENERATE__ENABLED": "false",
        "LAKEHOUSE_LAND__INBOX": str(inbox),
        "LAKEHOUSE_EXPORT__DIRECTORY": str(folder / "exports"),
        "PREFECT_HOME": str(folder / "prefect"),
    }
    runs = []
    for name, flow in (("lakehouse run", ["run", "--json"]), ("lakehouse land + build", ["plain"])):
        environment["LAKEHOUSE_LAKE__ROOT"] = str(folder / "lake")
        log = folder / f"{flow[0]}.log"
        command = [sys.executable, "-m", "cli", *flow] if flow[0] == "run" else [sys.executable, "-m", "bench.plain"]
        measured = measure(command, environment, log)
        steps = json.loads(measured.output)["steps"]
        gates = sum(s["seconds"] for s in steps if s["name"].startswith("check "))
        runs.append(_run(name, events, rows, measured) | {"gates_seconds": round(gates, 2)})
        shutil.rmtree(folder / "lake")
    if events <= MOST_TEXTBOOK_EVENTS:
        arguments = [str(inbox), str(folder / "textbook.db"), str(folder / "textbook")]
        command = [sys.executable, "-m", "bench.textbook", *arguments]
        runs.append(_run("textbook (pandas + SQLite)", events, rows, measure(command, environment, folder / "t.log")))
    return runs


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
        ours, plain, *peer = (run for run in runs if run["events"] == size)
        overhead = ours["seconds"] - plain["seconds"]
        notes.append(
            f"{size:,} events: Prefect takes {overhead:.1f} s of {ours['seconds']:.1f} s; "
            f"gates take {plain['gates_seconds'] / plain['seconds']:.0%} of the run without Prefect, "
            f"{ours['gates_seconds'] / ours['seconds']:.0%} with"
        )
        if peer:
            notes.append(
                f"{size:,} events: {peer[0]['seconds'] / ours['seconds']:.1f} times faster than the textbook pipeline, "
                f"{ours['peak_mib'] / peer[0]['peak_mib']:.2f} of its memory"
            )
    plain_runs = [run for run in runs if run["pipeline"] == "lakehouse run"]
    for small, large in pairwise(plain_runs):
        growth, data = large["seconds"] / small["seconds"], large["events"] / small["events"]
        notes.append(
            f"{small['events']:,} → {large['events']:,} events: {data:g} times the data, {growth:.1f} the time"
        )
    return notes
