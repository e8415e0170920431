"""Running the submitted job inside a test, and looking at what it published."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lake.rules import AnomalyRules
from lake.settings import PROJECT_ROOT
from lake.tables.anomalies import ANOMALIES
from spark.detect_anomalies import TABLES, Job, run
from spark.job.reading import Source
from tests.spark.oracle import Transaction
from tests.spark.worlds import START_US, as_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CONTRACTS = PROJECT_ROOT / "soda" / "contracts"
AT = datetime(2026, 5, 1, 12, 30, 0, 250_000, tzinfo=UTC)
STAMPS = ["detected_at", "run_id", "source_version"]
# A burst of eleven: one row that fires, ten that go with it.
BURST = tuple(Transaction(f"t{number:02}", "a", "c", START_US + number, 100) for number in range(11))


def stored(place: Path, rows: Sequence[Transaction] | pa.Table = BURST) -> Path:
    pq.write_table(rows if isinstance(rows, pa.Table) else as_table(rows), place)
    return place


def published(session: SparkSession, source: Path, output: Path, at: datetime = AT, **options: Any) -> list[str]:
    """Run the job; gives the lines it tells."""
    chosen = {name: options.pop(name) for name in ("format", "version") if name in options}
    job = Job(Source(str(source), **chosen), str(output), options.pop("rules", AnomalyRules()), **options)
    return list(run(session, job, at))


def table(output: Path, name: str) -> pa.Table:
    """A published table in the order of its key, without stamps."""
    declared = next(table for table in ANOMALIES if table.name == name)
    rows = pa.table(DeltaTable(output / name).to_pyarrow_table())
    return rows.drop_columns(STAMPS).sort_by([(key, "ascending") for key in declared.key])


def versions(output: Path) -> dict[str, int]:
    return {name: DeltaTable(output / name).version() for name in TABLES}


def as_csv(place: Path, rows: pa.Table, changed: Mapping[str, str] | None = None) -> Path:
    """Rows as RFC 4180 text; `changed` replaces fields of the first one."""
    with place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows.column_names)
        writer.writeheader()
        for number, row in enumerate(rows.to_pylist()):
            text = {**row, "occurred_at": row["occurred_at"].isoformat()}
            writer.writerow({**text, **(changed or {})} if number == 0 else text)
    return place


def with_type(name: str, kind: pa.DataType) -> pa.Table:
    rows = as_table(BURST)
    place = rows.column_names.index(name)
    return rows.set_column(place, name, rows.column(name).cast(kind))


def with_value(name: str, value: object) -> pa.Table:
    rows = as_table(BURST).to_pylist()
    rows[4][name] = value
    return pa.Table.from_pylist(rows, schema=as_table(BURST).schema)
