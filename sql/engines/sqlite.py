"""SQLite: a local warehouse in one file that any client can open."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as kinds

from lake.errors import MissingToolError, ModelError, StorageError
from lake.table import Table
from sql.ddl import create_empty, quoted_name
from sql.engines.engine import declared_types
from sql.sqlite_functions import register as register_functions
from sql.translate import translate

# IS DISTINCT FROM and FULL JOIN came with it.
MINIMUM_VERSION = (3, 39, 0)
_BATCH_ROWS = 50_000


class SQLiteEngine:
    """A SQLite file with one table for each registered one; a context manager.

    Dates, moments and decimals lie in it as docs/translation.md says.

    Args:
        file: Where it is built; replaced when it exists.

    Raises:
        MissingToolError: Python's SQLite is too old.
    """

    def __init__(self, file: Path) -> None:
        if sqlite3.sqlite_version_info < MINIMUM_VERSION:
            wanted = ".".join(map(str, MINIMUM_VERSION))
            raise MissingToolError(
                f"SQLite {wanted} or later is needed, Python has {sqlite3.sqlite_version}", mend="use a newer Python"
            )
        self.file = file
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        with _Explained(str(self.file)):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.unlink(missing_ok=True)
            # Prefect's tasks run in threads of their own, one after the other.
            self._connection = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False)
            # The file is built from the lake and thrown away when that fails: no journal has to save it.
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.execute("PRAGMA synchronous = OFF")
        register_functions(self._connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def connection(self) -> sqlite3.Connection:
        assert self._connection is not None, "the engine is entered"
        return self._connection

    def register(self, table: Table, files: Sequence[Path]) -> None:
        """See Engine."""
        name = quoted_name(table.full_name, "sqlite")
        places = ", ".join("?" * len(table.columns))
        with _Explained(table.full_name):
            self.connection.execute(f"DROP TABLE IF EXISTS {name}")
            self.connection.execute(create_empty(table.full_name, declared_types()[table.full_name], "sqlite"))
            self.connection.execute("BEGIN")
            for file in files:
                for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS):
                    rows = pa.Table.from_batches([batch]).select(table.column_names).cast(table.schema)
                    columns = [sqlite_values(column.combine_chunks()) for column in rows.columns]
                    self.connection.executemany(f"INSERT INTO {name} VALUES ({places})", zip(*columns, strict=True))
            self.connection.execute("COMMIT")

    def run(self, select: str, schema: pa.Schema, where: str) -> pa.RecordBatchReader:
        """See Engine."""
        translated = translate(select, "sqlite", declared_types(), where=where)
        with _Explained(where):
            cursor = self.connection.execute(translated.sql)
        return pa.RecordBatchReader.from_batches(schema, _batches(cursor, schema, where))


def sqlite_values(column: pa.Array) -> list[Any]:
    """Values as SQLite holds them: see docs/translation.md."""
    kind = column.type
    if kinds.is_timestamp(kind):
        column = pc.strftime(column, format="%Y-%m-%d %H:%M:%S")
        column = pc.binary_join_element_wise(column, "+00:00", "") if kind.tz else column
    elif kinds.is_decimal(kind) or kinds.is_date(kind):
        column = pc.cast(column, pa.string())
    elif kinds.is_boolean(kind):
        column = pc.cast(column, pa.int8())
    values: list[Any] = column.to_pylist()
    return values


def _batches(cursor: sqlite3.Cursor, schema: pa.Schema, where: str) -> Iterator[pa.RecordBatch]:
    while True:
        with _Explained(where):
            rows = cursor.fetchmany(_BATCH_ROWS)
        if not rows:
            return
        columns = zip(*rows, strict=True)
        try:
            arrays = [_arrow(values, field.type) for values, field in zip(columns, schema, strict=True)]
        except (pa.ArrowException, ValueError) as error:
            raise ModelError(f"SQLite yields a value that is not of its declared type: {error}", where=where) from None
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _arrow(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values of one column, read back strictly."""
    if kinds.is_boolean(kind):
        return pa.array(values, pa.int8()).cast(kind)
    if kinds.is_decimal(kind) or kinds.is_temporal(kind):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)


class _Explained:
    """Turn SQLite's exceptions into the project's."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) or (isinstance(error, sqlite3.Error) and "full" in str(error)):
            raise StorageError(f"SQLite cannot write: {error}", where=self._where, mend="free some space") from error
        if isinstance(error, sqlite3.Error):
            raise ModelError(f"SQLite: {error}", where=self._where) from error
