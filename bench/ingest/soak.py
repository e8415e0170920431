"""`lakehouse bench soak`: does the service stay as fast and as small over a hundred thousand commits?

Few connections make many commits. One lake and one service from the first commit to the last; the load generator is
started anew for every thousand commits, so that what grows is the service's.
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.ingest.bodies import Form
from bench.ingest.drive import Volume, drive
from bench.ingest.server import Process, Server, Watch
from bench.ingest.service import contents, serving
from cli.output import console
from lake.lake import Lake
from lake.log import LOG
from lake.tables import BRONZE_TRANSACTIONS

# A sample is taken after so many commits.
STEP_COMMITS = 1_000
_WRITER, _KEEPER = "api.writer", "api.keeper"
_MOST_LINES = 26
_QUARTERS = 4
_GOAL = 0.1
_WORK, _YARDSTICKS = bytes(4_000_000), 9
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Soak:
    """How long and how hard.

    Args:
        commits: Ends after so many.
        minutes: Ends earlier after so many.
        connections: Requests of one row under way at a time.
        workers: HTTP processes.
    """

    commits: int = 100_000
    minutes: float = 40.0
    connections: int = 8
    workers: int = 1


_DEFAULTS = Soak()


def bench_soak(commits: int | None = None) -> dict[str, Any]:
    """Soak for `commits`, by default 100,000, for 40 minutes at most."""
    return soak(replace(_DEFAULTS, commits=commits or _DEFAULTS.commits))


def soak(plan: Soak) -> dict[str, Any]:
    """Drive single rows until the plan's bounds.

    Returns:
        `table`: a row a sample, thinned out to a screen; `notes`: growth in words; `runs`: every sample.

    Raises:
        BenchError: The service did not start or stop, or no commit was made.
    """
    with tempfile.TemporaryDirectory(prefix="lakehouse-soak-") as folder:
        place = Path(folder)
        with serving(place, plan.workers) as (server, key):
            samples = [_told(sample) for sample in _samples(plan, server, key, place)]
        table = contents(place / "lake")
    figures = {"plan": asdict(plan), "runs": samples, "contents": asdict(table)}
    every = -(-len(samples) // _MOST_LINES)
    shown = [sample for n, sample in enumerate(samples) if n % every == 0 or n == len(samples) - 1]
    return figures | {"table": [_row(sample) for sample in shown], "notes": _notes(samples, table.rows)}


def _samples(plan: Soak, server: Server, key: str | None, folder: Path) -> Iterator[dict[str, Any]]:
    """Figures of each thousand commits, and the service's size after them."""
    deadline = time.monotonic() + 60 * plan.minutes
    commits = rows = 0
    while commits < plan.commits and (left := deadline - time.monotonic()) > 0:
        volume = Volume(Form.ROW, 1, plan.connections, left, versions=min(STEP_COMMITS, plan.commits - commits))
        with Watch(server) as watch:
            run = drive(volume, server.port, key, folder)
        yardstick_ms = _yardstick_ms()
        made = 0 if run["last_version"] is None else run["last_version"] - run["first_version"] + 1
        commits, rows = commits + made, rows + run["acknowledged_rows"]
        yield {
            "commits": commits,
            "rows": rows,
            "commits_per_s": round(made / run["seconds"], 1),
            "rows_per_s": run["rows_per_s"],
            "p99_ms": run["latency"]["p99_ms"],
            "max_ms": run["latency"]["max_ms"],
            "errors": run["errors"],
            "yardstick_ms": yardstick_ms,
            "other_processes_cores": watch.other_cores(run["process_cpu_s"]),
            # A round of the keeper is shorter than a sample's distance to the next: its peak counts.
            "keeper_mb": _largest_mb(watch.peaks, _KEEPER),
            **_sizes(server.processes(), folder / "lake"),
        }
        if not made:
            return


def _yardstick_ms() -> float:
    """Milliseconds of one core for work that is always the same: other machines on the same hardware slow this one."""
    times = []
    for _ in range(_YARDSTICKS):
        began = time.perf_counter()
        hashlib.sha256(_WORK).digest()
        times.append(time.perf_counter() - began)
    return round(statistics.median(times) * 1e3, 2)


def _told(sample: dict[str, Any]) -> dict[str, Any]:
    console.print(f"{sample['commits']:,} commits, {sample['rows_per_s']:,.0f} rows/s", highlight=False)
    return sample


def _sizes(processes: Sequence[Process], root: Path) -> dict[str, Any]:
    def resident_mb(wanted: Callable[[str], bool]) -> list[float]:
        return [round(p.resident_bytes / _MB, 1) for p in processes if wanted(p.command)]

    lake = Lake(root)
    table = lake.open(BRONZE_TRANSACTIONS)
    log = list(_bytes_of(lake.path(BRONZE_TRANSACTIONS) / LOG))
    return {
        "writer_mb": sum(resident_mb(lambda command: _WRITER in command)),
        "workers_mb": resident_mb(lambda command: _WRITER not in command and _KEEPER not in command),
        "files": 0 if table is None else len(table.file_uris()),
        "log_entries": len(log),
        "log_mb": round(sum(log) / _MB, 1),
    }


def _largest_mb(peaks: Mapping[str, int], wanted: str) -> float:
    return round(max((held for command, held in peaks.items() if wanted in command), default=0) / _MB, 1)


def _bytes_of(directory: Path) -> Iterator[int]:
    for entry in directory.iterdir():
        # The service cleans its log meanwhile.
        with suppress(FileNotFoundError):
            yield entry.stat().st_size


def _row(sample: dict[str, Any]) -> dict[str, str]:
    return {
        "commits": f"{sample['commits']:,}",
        "commits_s": f"{sample['commits_per_s']:,.0f}",
        "rows_s": f"{sample['rows_per_s']:,.0f}",
        "p99_ms": f"{sample['p99_ms']:,.1f}",
        "max_ms": f"{sample['max_ms']:,.0f}",
        "errors": f"{sample['errors']:,}",
        "writer_MB": f"{sample['writer_mb']:,.0f}",
        "keeper_peak_MB": f"{sample['keeper_mb']:,.0f}",
        "workers_MB": " ".join(f"{size:,.0f}" for size in sample["workers_mb"]),
        "files": f"{sample['files']:,}",
        "log_files": f"{sample['log_entries']:,}",
        "log_MB": f"{sample['log_mb']:,.1f}",
        "yardstick_ms": f"{sample['yardstick_ms']:.1f}",
        "others": f"{sample['other_processes_cores']:.1f}",
    }


def _notes(samples: Sequence[dict[str, Any]], rows_in_table: int) -> list[str]:
    first, last = samples[0], samples[-1]
    tenth = max(1, len(samples) // 10)
    lines = []
    begin, end = (statistics.median(s["yardstick_ms"] for s in part) for part in (samples[:tenth], samples[-tenth:]))
    lines.append(f"the same work took the machine {end / begin:.2f} of the time in the last tenth")
    for key, name in (("rows_per_s", "rows/s"), ("commits_per_s", "commits/s")):
        begin, end = (statistics.median(s[key] for s in part) for part in (samples[:tenth], samples[-tenth:]))
        lines.append(
            f"{name}: last thousand {last[key] / first[key]:.2f} of the first, last tenth {end / begin:.2f} of the "
            f"first (goal: at least {1 - _GOAL:.1f})"
        )
    settled = samples[tenth - 1]
    growth = last["writer_mb"] - settled["writer_mb"]
    more = last["rows"] - settled["rows"]
    workers = sum(last["workers_mb"]) - sum(settled["workers_mb"])
    lines.append(
        f"from {settled['commits']:,} commits to {last['commits']:,} the writer grew by {growth:,.1f} MB, which is "
        f"{growth * _MB / max(more, 1):,.0f} bytes for each of {more:,} rows, the HTTP processes by {workers:,.1f} MB"
    )
    quarter = max(1, -(-len(samples) // _QUARTERS))
    peaks = [max(s["keeper_mb"] for s in samples[n : n + quarter]) for n in range(0, len(samples), quarter)]
    lines.append(f"most memory of a keeper's round, by quarters: {', '.join(f'{mb:,.0f}' for mb in peaks)} MB")
    acknowledged, errors = last["rows"], sum(sample["errors"] for sample in samples)
    lines.append(f"{acknowledged:,} rows were acknowledged, {rows_in_table:,} are in the table, {errors:,} errors")
    return lines
