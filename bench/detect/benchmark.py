"""`lakehouse bench detect`: Spark and Sail beside the textbook job and a bare DuckDB query, in one run."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.detect.chart import draw
from bench.measure import Measured, measure
from lake.configuration import load_settings
from lake.gated import GatedVersion, last_gated
from lake.lake import Lake
from lake.settings import PROJECT_ROOT, DetectEngineName, Settings, TransactionSettings
from lake.tables import ANOMALIES, SILVER_TRANSACTIONS
from spark.installation import spark_home, spark_submit
from spark.jars import delta_jars
from spark.java import find_java
from tasks.feed import feed_layer
from tasks.layers import build_layer
from tasks.workspace import new_run, writing

ROWS = 10_000_000
THREADS = 2
MEMORY_MB = 4_096
# A hot account's share of all rows, for the skew.
HOT_SHARE = 0.1
_MB = 1_000_000


def bench_detect(rows: int | None = None) -> dict[str, Any]:
    """Measure at `rows`, by default 10 million, and on as many with one account that holds a tenth of them.

    Returns:
        `table`: a row per job; `notes`: ratios in words; `runs`: every figure; `chart`: draws them.
    """
    count = rows or ROWS
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        even = _landed(Path(folder) / "even", TransactionSettings(count=count))
        hot = _landed(Path(folder) / "hot", TransactionSettings(count=count, hot_accounts=1, hot_share=HOT_SHARE))
        runs = [_duckdb(even, Path(folder))]
        if find_java():
            runs += [_textbook(even, Path(folder)), _ours("spark", even, hot, Path(folder))]
        runs.append(_ours("sail", even, hot, Path(folder)))
    table = [{k: "" if v is None else str(v) for k, v in run.items()} for run in runs]
    figures = {"rows": count, "threads": THREADS, "table": table, "notes": _notes(runs), "runs": runs}
    return figures | {"chart": lambda target: draw(runs, count, target)}


class _LandedTable:
    """A lake with silver.transactions, ready to be judged."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root, self.settings = root, settings

    @property
    def version(self) -> GatedVersion:
        gated = last_gated(Lake(self.root), SILVER_TRANSACTIONS)
        assert gated is not None, "the transactions have landed"
        return gated

    @property
    def place(self) -> str:
        return str(Lake(self.root).path(SILVER_TRANSACTIONS))


def _landed(folder: Path, transactions: TransactionSettings) -> _LandedTable:
    settings = load_settings(None, {}).model_copy(update={"transactions": transactions})
    settings = settings.model_copy(update={"lake": settings.lake.model_copy(update={"root": folder / "lake"})})
    with writing(settings, new_run()) as workspace:
        feed_layer(workspace)
        build_layer(workspace, (SILVER_TRANSACTIONS,))
    return _LandedTable(folder / "lake", settings)


def _figures(job: str, whole: Measured, warm: Measured | None = None, hot: Measured | None = None) -> dict[str, Any]:
    """Seconds of the whole process, and of a second run in one session."""
    return {
        "job": job,
        "process_s": round(whole.seconds, 2),
        "warm_s": json.loads(warm.output)["warm_s"] if warm else None,
        "hot_process_s": round(hot.seconds, 2) if hot else None,
        "peak_mb": round(whole.peak_bytes / _MB),
    }


def _duckdb(table: _LandedTable, scratch: Path) -> dict[str, Any]:
    files = [str(file) for file in table.version.files]
    arguments = [str(THREADS), str(scratch / "duckdb.parquet"), *files]
    return _figures("DuckDB query and write", _python("bench.detect.duckdb_query", arguments, scratch))


def _textbook(table: _LandedTable, scratch: Path) -> dict[str, Any]:
    settings = {**delta_jars(), "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    conf = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
    master = ["--master", f"local[{THREADS}]", "--driver-memory", f"{MEMORY_MB}m"]
    job = [str(PROJECT_ROOT / "bench" / "detect" / "textbook.py"), table.place, str(scratch / "textbook")]
    environment = {
        "SPARK_HOME": str(spark_home()),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    whole = measure([spark_submit(), *master, *conf, *job], environment, scratch / "textbook.log")
    warm = _python("bench.detect.warm", ["textbook", table.place, str(scratch / "warm")], scratch)
    return _figures("textbook PySpark job", whole, warm)


def _ours(engine: DetectEngineName, even: _LandedTable, hot: _LandedTable, scratch: Path) -> dict[str, Any]:
    whole, skewed = (_detect(engine, table, scratch) for table in (even, hot))
    warm = _python("bench.detect.warm", [engine, even.place, str(scratch / "warm")], scratch)
    return _figures(f"transactions detect, {engine}", whole, warm, skewed)


def _detect(engine: DetectEngineName, table: _LandedTable, scratch: Path) -> Measured:
    """The command a user types, contracts and publishing included."""
    arguments = ["transactions", "detect", "--engine", engine]
    root = {"LAKEHOUSE_LAKE__ROOT": str(table.root.absolute())}
    # A second engine would find nothing to do: its rules are the same.
    for anomalies in ANOMALIES:
        _forget(Lake(table.root).path(anomalies))
    return _python("cli", arguments, scratch, root)


def _forget(directory: Path) -> None:
    if directory.exists():
        directory.rename(directory.with_name(f"_{directory.name}-{os.urandom(4).hex()}"))


def _python(
    module: str, arguments: Sequence[str], scratch: Path, environment: dict[str, str] | None = None
) -> Measured:
    sizes = {
        "PYTHONPATH": str(PROJECT_ROOT),
        "LAKEHOUSE_ENGINE__THREADS": str(THREADS),
        "LAKEHOUSE_ENGINE__SPARK_MEMORY_MB": str(MEMORY_MB),
    }
    command = [sys.executable, "-m", module, *arguments]
    return measure(command, sizes | (environment or {}), scratch / f"{module}-{arguments[0]}.log")


def _notes(runs: Sequence[dict[str, Any]]) -> list[str]:
    by_job = {run["job"]: run for run in runs}
    textbook, duckdb = by_job.get("textbook PySpark job"), by_job["DuckDB query and write"]
    notes = []
    for run in (r for r in runs if r["job"].startswith("transactions detect")):
        parts = [f"{run['process_s'] / duckdb['process_s']:.1f} times DuckDB"]
        if textbook is not None:
            parts.append(f"{run['process_s'] / textbook['process_s']:.2f} of the textbook job")
            parts.append(f"warm {run['warm_s'] / textbook['warm_s']:.2f}")
        parts.append(f"with a hot account {run['hot_process_s'] / run['process_s']:.2f} times the even case")
        notes.append(f"{run['job']}: {', '.join(parts)}")
    return notes
