"""Embedded DuckDB: reads Parquet files of Delta versions as views, runs one SELECT, writes Parquet.

DuckDB's Delta extension needs a download, so tables come in as the files of a pinned version.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import duckdb
import pyarrow as pa

from lake.errors import ModelError, StorageError
from lake.settings import EngineSettings
from lake.table import Table

# Files of about this size keep Spark and Polars reading in parallel without many small files.
TARGET_FILE_BYTES = 128 * 1024 * 1024

_BATCH_ROWS = 122_880
_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)

_DUCKDB_TYPES: dict[str, str] = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "date32[day]": "DATE",
    "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
    "decimal128(18, 2)": "DECIMAL(18,2)",
    "decimal128(38, 2)": "DECIMAL(38,2)",
    "list<item: string>": "VARCHAR[]",
}


def duckdb_type(kind: pa.DataType) -> str:
    """DuckDB's name of a declared Arrow type.

    Raises:
        KeyError: The type is none a declaration may use.
    """
    return _DUCKDB_TYPES[str(kind)]


class DuckDBEngine:
    """One in-memory DuckDB with bounded memory; a context manager.

    Args:
        settings: Memory in MB (DuckDB spills to `scratch` beyond it) and threads.
        scratch: Directory for spilled data; created when needed.
    """

    def __init__(self, settings: EngineSettings, scratch: Path) -> None:
        self.connection = duckdb.connect(
            config={
                "memory_limit": f"{settings.memory_limit_mb}MB",
                "threads": settings.threads,
                "temp_directory": str(scratch),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        # Dates of timestamps must not depend on the machine's zone.
        self.connection.execute("SET TimeZone = 'UTC'")
        # Its bar goes to standard output, where programs read our answers.
        self.connection.execute("SET enable_progress_bar = false")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def register(self, table: Table, files: Sequence[Path], name: str | None = None) -> None:
        """Make `files` readable as view ``layer.name`` with the declared columns, missing ones as NULL.

        The view lies in the persistent catalog: Soda leaves checks on temporary views unevaluated.

        Args:
            table: Declaration the files follow.
            files: Parquet files; none makes an empty view.
            name: Another full name for the view.
        """
        schema, _, view = (name or table.full_name).partition(".")
        self.connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        columns = ", ".join(f'"{c.name}"' for c in table.columns)
        empty = ", ".join(f'CAST(NULL AS {duckdb_type(c.type)}) AS "{c.name}"' for c in table.columns)
        body = f"SELECT {empty} WHERE false"
        if files:
            paths = ", ".join(sql_text(file) for file in files)
            # The empty side names columns and types, so that older files without a later column still fit.
            body += f" UNION ALL BY NAME SELECT * FROM read_parquet([{paths}], union_by_name = true)"
        self.connection.execute(f'CREATE OR REPLACE VIEW "{schema}"."{view}" AS SELECT {columns} FROM ({body})')

    def execute(self, statement: str) -> None:
        """Run a statement without an answer, such as making a temporary table.

        Raises:
            ModelError, StorageError: As query.
        """
        with _Explained():
            self.connection.execute(statement)

    def query(self, select: str) -> pa.Table:
        """Rows of `select` as an Arrow table; for small results.

        Raises:
            ModelError: DuckDB refused the SELECT.
            StorageError: Files could not be read, or memory and scratch space ran out.
        """
        with _Explained():
            return self.connection.sql(select).to_arrow_table()

    def run(self, select: str, schema: pa.Schema, where: str) -> pa.RecordBatchReader:
        """See sql.engines.engine.Engine."""
        try:
            with _Explained():
                reader = self.connection.sql(select).to_arrow_reader(_BATCH_ROWS)
        except ModelError as error:
            raise ModelError(error.what, where=f"{where}:{(error.where or 'line 1').removeprefix('line ')}") from None
        return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in reader))

    def describe(self, select: str) -> tuple[tuple[str, str], ...]:
        """Name and DuckDB type of every column `select` yields, in order; no rows are read.

        Raises:
            ModelError: DuckDB cannot bind the SELECT; `where` names the line, such as ``line 3``.
        """
        with _Explained():
            # On the SELECT's first line, so that DuckDB counts lines as the SELECT's file does.
            rows = self.connection.execute(f"DESCRIBE {select}").fetchall()
        return tuple((name, kind) for name, kind, *_ in rows)

    def write(self, select: str, table: Table, directory: Path) -> tuple[Path, ...]:
        """Stream the rows of `select` into Parquet files of `table`'s declared columns and types.

        Returns:
            The files, none when there were no rows.

        Raises:
            ModelError: DuckDB refused the SELECT, or a value does not fit the declared type.
            StorageError: The disk is full or the directory cannot be written.
        """
        columns = ", ".join(f'CAST("{c.name}" AS {duckdb_type(c.type)}) AS "{c.name}"' for c in table.columns)
        target = directory / table.full_name
        try:
            # What a failed attempt of the same run left must not be published.
            shutil.rmtree(target, ignore_errors=True)
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot write: {error.strerror}", where=str(directory)) from None
        self.execute(
            f"COPY (SELECT {columns} FROM ({select}\n)) TO {sql_text(target)} "
            f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, FILE_SIZE_BYTES {TARGET_FILE_BYTES})"
        )
        return tuple(sorted(f for f in target.glob("*.parquet") if self._count(f)))

    def copy(self, select: str, target: Path, file_format: Literal["csv", "parquet"]) -> None:
        """Write the rows of `select` into one file, in their order.

        Raises:
            ModelError, StorageError: As query.
        """
        options = "FORMAT csv, HEADER true" if file_format == "csv" else "FORMAT parquet, COMPRESSION zstd"
        self.execute(f"COPY ({select}) TO {sql_text(target)} ({options})")

    def count(self, files: Sequence[Path]) -> int:
        """Rows in Parquet files, read from their footers."""
        return sum(self._count(f) for f in files)

    def _count(self, file: Path) -> int:
        # Fetched to the end: an unfinished result would block the connection.
        rows = self.connection.execute(
            f"SELECT coalesce(sum(num_rows), 0)::BIGINT FROM parquet_file_metadata({sql_text(file)})"
        ).fetchall()
        return int(rows[0][0])


def sql_text(value: object) -> str:
    """A value as an SQL text literal."""
    return "'" + str(value).replace("'", "''") + "'"


class _Explained:
    """Turn DuckDB's exceptions into the project's, sorted by what the user can do."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
            raise StorageError(str(error), mend="free space, or raise engine.memory_limit_mb") from error
        if isinstance(error, duckdb.Error):
            # The first line says what; the rest lists every function DuckDB knows, and where.
            line = _LINE.search(str(error))
            where = f"line {line[1]}" if line else None
            raise ModelError(str(error).splitlines()[0], where=where) from error
