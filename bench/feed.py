"""`lakehouse bench feed`: generating and writing transactions beside Polars, which only writes the finished table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from lake.settings import TransactionSettings
from tasks.transactions import generate_file

ROWS = 10_000_000
# Whoever goes first finds a colder disk; each goes first in turn, and the middle time counts.
ROUNDS = 3


def bench_feed(rows: int | None = None) -> dict[str, Any]:
    """Measure at `rows`, by default 10 million, as Parquet and as CSV.

    Returns:
        `table`: a row per format; `notes`: none; `runs`: every figure.
    """
    settings = TransactionSettings(count=rows or ROWS)
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        runs = [_compare(settings, Path(folder), suffix) for suffix in (".parquet", ".csv")]
    return {"table": [{k: str(v) for k, v in run.items()} for run in runs], "notes": [], "runs": runs}


def _compare(settings: TransactionSettings, folder: Path, suffix: str) -> dict[str, Any]:
    ours, theirs = folder / f"ours{suffix}", folder / f"polars{suffix}"
    generate_file(settings, ours)
    finished = pl.read_parquet(ours) if suffix == ".parquet" else pl.read_csv(ours, try_parse_dates=True)

    def write() -> None:
        if suffix == ".parquet":
            finished.write_parquet(theirs, compression="zstd", compression_level=1)
        else:
            finished.write_csv(theirs)

    jobs: dict[str, Callable[[], object]] = {"ours": lambda: generate_file(settings, ours), "polars": write}
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(ROUNDS):
        for name in sorted(jobs, reverse=bool(turn % 2)):
            began = time.monotonic()
            jobs[name]()
            times[name].append(time.monotonic() - began)
    middle = {name: sorted(seconds)[ROUNDS // 2] for name, seconds in times.items()}
    return {
        "format": suffix.removeprefix("."),
        "generate_and_write_s": round(middle["ours"], 2),
        "polars_write_s": round(middle["polars"], 2),
        "times": round(middle["ours"] / middle["polars"], 2),
    }
