"""What runs models: one small interface, one file for each engine, and the one place that knows their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa

from lake.settings import EngineName, Settings
from lake.table import Table
from lake.tables import BRONZE, GOLD, SILVER
from sql.engines.duckdb import duckdb_type

# The file SQLite builds, in its scratch directory.
WAREHOUSE = "warehouse.sqlite"


class Engine(Protocol):
    """Tables come in as Parquet files, the rows of a SELECT in DuckDB's dialect go out as Arrow; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def register(self, table: Table, files: Sequence[Path]) -> None:
        """Make ``layer.name`` hold the rows of `files`, in the engine's own kind of table."""

    def run(self, select: str, schema: pa.Schema, where: str) -> pa.RecordBatchReader:
        """Rows of a SELECT, columns and types as in `schema`, in its order when it has one.

        Args:
            select: One SELECT in DuckDB's dialect over registered tables.
            schema: Columns it yields.
            where: What messages call it, such as its file.

        Raises:
            ModelError: The engine cannot run it, or it cannot be carried to the engine's dialect.
            StorageError: Disk full.
        """


def declared_types() -> dict[str, dict[str, str]]:
    """DuckDB's type of every column of every table a model may read, by full table name."""
    return {t.full_name: {c.name: duckdb_type(c.type) for c in t.columns} for t in (*BRONZE, *SILVER, *GOLD)}


def open_engine(name: EngineName, settings: Settings, scratch: Path) -> Engine:
    """An engine that is not yet entered.

    Args:
        name: Which.
        settings: Limits, files and accounts.
        scratch: Directory for what does not outlive the engine.

    Raises:
        MissingToolError: What the engine needs is not installed.
        ConfigurationError: An account's settings are missing.
    """
    limits = settings.engine
    match name:
        case "duckdb":
            from sql.engines.duckdb import DuckDBEngine

            return DuckDBEngine(limits, scratch)
        case "sqlite":
            from sql.engines.sqlite import SQLiteEngine

            return SQLiteEngine(scratch / WAREHOUSE)
        case "spark":
            from spark.session import spark_session
            from sql.engines.spark import SparkEngine

            opening = spark_session(scratch, threads=limits.threads, memory_mb=limits.spark_memory_mb)
            return SparkEngine(opening, scratch)
        case "sail":
            from spark.session import sail_session
            from sql.engines.spark import SparkEngine

            return SparkEngine(sail_session(), scratch)
        case "snowflake":
            from sql.engines.snowflake import SnowflakeEngine

            return SnowflakeEngine(settings.snowflake)
