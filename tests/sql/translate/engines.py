"""The engines a SELECT is compared on: each takes Arrow tables and answers with rows of Python values."""

from __future__ import annotations

import math
import sqlite3
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sql.sqlite_functions import register

Row = tuple[Any, ...]
Tables = Mapping[str, pa.Table]
_INDEXED_ROWS = 1000
_MOMENT = "%Y-%m-%d %H:%M:%S.%f"


class Engine(Protocol):
    """Holds tables by full name and runs SELECTs on them."""

    def load(self, name: str, table: pa.Table) -> None: ...

    def rows(self, select: str, types: Sequence[pa.DataType]) -> list[Row]: ...


class DuckDB:
    """Where the right rows come from."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")

    def load(self, name: str, table: pa.Table) -> None:
        schema, _, _ = name.rpartition(".")
        if schema:
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        self.connection.register("incoming", table)
        self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
        self.connection.unregister("incoming")

    def types(self, name: str) -> dict[str, str]:
        return {row[0]: row[1] for row in self.connection.execute(f"DESCRIBE {name}").fetchall()}

    def answer(self, select: str) -> pa.Table:
        return self.connection.sql(select).to_arrow_table()

    def rows(self, select: str, types: Sequence[pa.DataType] = ()) -> list[Row]:
        return as_rows(self.answer(select))


class SQLite:
    """A database in memory with every helper registered."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")
        register(self.connection)

    def load(self, name: str, table: pa.Table) -> None:
        stored = name.replace(".", "_")
        columns = ", ".join(f'"{field.name}" {_sqlite_type(field.type)}' for field in table.schema)
        self.connection.execute(f'DROP TABLE IF EXISTS "{stored}"')
        self.connection.execute(f'CREATE TABLE "{stored}" ({columns})')
        marks = ", ".join("?" * table.num_columns)
        values = [[to_sqlite(value) for value in column.to_pylist()] for column in table.columns]
        self.connection.executemany(f'INSERT INTO "{stored}" VALUES ({marks})', zip(*values, strict=True))
        if table.num_rows >= _INDEXED_ROWS:
            # Inside a correlated subquery SQLite makes no index of its own; the first column is the key.
            self.connection.execute(f'CREATE INDEX "{stored}_key" ON "{stored}" ("{table.column_names[0]}")')

    def rows(self, select: str, types: Sequence[pa.DataType]) -> list[Row]:
        found = self.connection.execute(select).fetchall()
        return [tuple(from_sqlite(value, kind) for value, kind in zip(row, types, strict=True)) for row in found]


def _sqlite_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "INTEGER"
    return "REAL" if pa.types.is_floating(kind) else "TEXT"


def to_sqlite(value: Any) -> Any:
    """A value as it lies in SQLite."""
    if isinstance(value, Decimal):
        return format(value if value else abs(value), "f")
    if isinstance(value, datetime):
        return value.strftime(_MOMENT).rjust(26, "0") + ("+00:00" if value.tzinfo else "")
    return value.isoformat() if isinstance(value, date) else value


def from_sqlite(value: Any, kind: pa.DataType) -> Any:
    """What a value of SQLite means, by the type DuckDB gives; it must be written in its one canonical form."""
    if value is None:
        return None
    for is_kind, read in _READERS:
        if is_kind(kind):
            return read(value, kind)
    raise AssertionError(f"no reader of {kind}")


def _decimal(value: Any, kind: pa.DataType) -> Any:
    if isinstance(value, int):
        # DuckDB's HUGEINT reaches Arrow as a decimal.
        return value
    assert len(value.partition(".")[2]) == kind.scale, f"{value} is not of scale {kind.scale}"
    assert value.lstrip("-0.") or not value.startswith("-"), "zero with a sign"
    return Decimal(value)


def _truth(value: Any, kind: pa.DataType) -> bool:
    assert value in (0, 1), value
    return bool(value)


def _moment(value: Any, kind: pa.DataType) -> datetime:
    assert len(value) == (32 if kind.tz else 26), value
    return datetime.fromisoformat(value)


def _plain(*types: type) -> Callable[[Any, pa.DataType], Any]:
    def read(value: Any, kind: pa.DataType) -> Any:
        assert isinstance(value, types), f"{value!r} is no {kind}"
        return value

    return read


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any, pa.DataType], Any]], ...] = (
    (pa.types.is_decimal, _decimal),
    (pa.types.is_boolean, _truth),
    (pa.types.is_date, lambda value, kind: date.fromisoformat(value)),
    (pa.types.is_timestamp, _moment),
    (pa.types.is_floating, _plain(float, int)),
    (pa.types.is_string, _plain(str)),
    (pa.types.is_integer, _plain(int)),
)


class Snowflake:
    """fakesnow's copy of Snowflake."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def load(self, name: str, table: pa.Table) -> None:
        schema, _, stored = name.rpartition(".")
        inner = self.connection._duck_conn
        inner.execute(f"CREATE SCHEMA IF NOT EXISTS DB.{schema.upper() or 'PUBLIC'}")
        inner.register("incoming", table.rename_columns([column.upper() for column in table.column_names]))
        inner.execute(
            f"CREATE OR REPLACE TABLE DB.{schema.upper() or 'PUBLIC'}.{stored.upper()} AS SELECT * FROM incoming"
        )
        inner.unregister("incoming")

    def rows(self, select: str, types: Sequence[pa.DataType]) -> list[Row]:
        with warnings.catch_warnings():
            # fakesnow 0.12 takes its rows the way DuckDB 2 advises against.
            warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)
            found = self.connection.cursor().execute(select).fetchall()
        return [tuple(_whole(value, kind) for value, kind in zip(row, types, strict=True)) for row in found]


def _whole(value: Any, kind: pa.DataType) -> Any:
    # fakesnow hands the sum of whole numbers, a NUMBER(38, 0) in Snowflake, out as a float.
    is_sum = pa.types.is_decimal(kind) and kind.scale == 0 and isinstance(value, float) and value.is_integer()
    return int(value) if is_sum else value


class Spark:
    """One local Spark session; tables are Parquet files."""

    def __init__(self, session: Any, directory: Path) -> None:
        self.session = session
        self.directory = directory
        self._files = 0

    def load(self, name: str, table: pa.Table) -> None:
        self._files += 1
        path = self.directory / f"{self._files}.parquet"
        pq.write_table(table, path)
        schema, _, _ = name.rpartition(".")
        if not schema:
            self.session.read.parquet(str(path)).createOrReplaceTempView(name)
            return
        self.session.sql(f"CREATE DATABASE IF NOT EXISTS {schema}")
        self.session.sql(f"DROP TABLE IF EXISTS {name}")
        self.session.sql(f"CREATE TABLE {name} USING parquet LOCATION '{path}'")

    def rows(self, select: str, types: Sequence[pa.DataType]) -> list[Row]:
        return as_rows(self.session.sql(select).toArrow())


def as_rows(table: pa.Table) -> list[Row]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_rows else []


def same_value(expected: Any, found: Any) -> bool:
    """Equal; numbers by value, doubles to nine digits, moments with and without a zone in UTC."""
    if expected is None or found is None:
        return expected is found
    if isinstance(expected, bool) or isinstance(found, bool):
        return isinstance(found, bool) and expected == found
    if isinstance(expected, float):
        return isinstance(found, float | int | Decimal) and _close(expected, float(found))
    if isinstance(expected, datetime):
        return isinstance(found, datetime) and expected.replace(tzinfo=None) == found.replace(tzinfo=None)
    is_number = isinstance(expected, int | Decimal) and isinstance(found, int | Decimal)
    return (is_number or type(expected) is type(found)) and bool(expected == found)


def _close(expected: float, found: float) -> bool:
    both_nan = math.isnan(expected) and math.isnan(found)
    return both_nan or math.isclose(expected, found, rel_tol=1e-9, abs_tol=1e-12)


def sort_key(row: Row) -> tuple[tuple[bool, str], ...]:
    """An order all engines' rows share: doubles by their first digits."""
    return tuple((value is None, _key(value)) for value in row)


def _key(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int | float | Decimal):
        return format(float(value) + 0.0, ".6e")
    return str(value.replace(tzinfo=None)) if isinstance(value, datetime) else str(value)
