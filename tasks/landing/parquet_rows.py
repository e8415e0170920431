"""Parquet: files of the declared types go straight through DuckDB, other lossless types by way of text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as kinds

from lake.table import COUNT, DATE, TEXT, TIMESTAMP, Column, Table
from lake.text_types import FIRST_DAY, FIRST_MOMENT, LAST_DAY, LAST_MOMENT
from sql.engines.duckdb import DuckDBEngine, duckdb_type, sql_text
from tasks.landing.chunk import LINE, Chunk, FileRefusedError, column_rules, shown, text_rows
from tasks.landing.part import Origin

NOT_PARQUET = "not_parquet"
_BATCH_ROWS = 16_384
_BATCH_BYTES = 16 * 1024 * 1024
_SMALLER_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}
# DECIMAL(p, 2) with at most the 18 digits that MONEY has.
_NARROWER_MONEY = re.compile(r"DECIMAL\((\d|1[0-8]),2\)")
# DuckDB takes a file name with these for a pattern, which may match another file.
_PATTERN_MARKS = set("*?[]{}")


def check_columns(file: Path, table: Table) -> int:
    """Rows of a Parquet file whose columns can become the declared ones without loss.

    Raises:
        FileRefusedError: Not Parquet, or columns are missing, unknown or of a type that would lose something.
    """
    if not file.stat().st_size:
        raise FileRefusedError("empty_file")
    with _reading(), pq.ParquetFile(file) as parquet:
        schema, rows = parquet.schema_arrow, int(parquet.metadata.num_rows)
    rules = column_rules(table, schema.names)
    rules += [rule for c in table.payload if schema.names.count(c.name) == 1 and (rule := _type_rule(c, schema))]
    if rules:
        raise FileRefusedError(*rules)
    return rows


def has_declared_types(engine: DuckDBEngine, file: Path, table: Table) -> bool:
    """Whether DuckDB reads every column of the file as its declared type, or a narrower one.

    Raises:
        duckdb.Error: DuckDB cannot read the file.
    """
    if _PATTERN_MARKS & set(str(file)):
        return False
    described = engine.connection.sql(f"DESCRIBE SELECT * FROM {_scan(file)}").fetchall()
    found = {name: kind for name, kind, *_ in described}
    return all(_is_declared(found.get(c.name, ""), c) for c in table.payload)


def good_rows(table: Table, file: Path, origin: Origin, at: datetime, max_field_bytes: int) -> str:
    """SELECT of the bronze rows of a file with the declared types."""
    return (
        f"SELECT {_names(table)}, TIMESTAMPTZ {sql_text(at.isoformat())} AS _ingested_at, "
        f"{sql_text(origin.source)} AS _source, {sql_text(origin.batch_id)} AS _batch_id, "
        f"file_row_number + 1 AS {LINE} FROM {_scan(file)} WHERE {_is_good(table, max_field_bytes)}"
    )


def read_bad_rows(engine: DuckDBEngine, table: Table, file: Path, max_field_bytes: int) -> Iterator[Chunk]:
    """The rows `good_rows` leaves out, in chunks."""
    select = (
        f"SELECT {_names(table)}, file_row_number + 1 AS {LINE} FROM {_scan(file)} "
        f"WHERE NOT {_is_good(table, max_field_bytes)}"
    )
    connection = engine.connection.cursor()
    try:
        for batch in connection.sql(select).to_arrow_reader(_BATCH_ROWS):
            yield _chunk(table, batch, batch.column(LINE))
    finally:
        connection.close()


def read_parquet(file: Path, table: Table) -> Iterator[Chunk]:
    """All rows of a file with lossless types, in chunks of bounded size.

    Raises:
        FileRefusedError: The content is damaged.
    """
    with _reading(), pq.ParquetFile(file) as parquet:
        size = sum(parquet.metadata.row_group(i).total_byte_size for i in range(parquet.num_row_groups))
        row_bytes = size // max(parquet.metadata.num_rows, 1) + 1
        batches = parquet.iter_batches(max(1, min(_BATCH_ROWS, _BATCH_BYTES // row_bytes)))
        first = 1
        while (batch := _next(batches)) is not None:
            yield _chunk(table, batch, pa.array(range(first, first + batch.num_rows), COUNT))
            first += batch.num_rows


def _next(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    with _reading():
        batch = next(batches, None)
        if batch is not None:
            # Text that is not UTF-8 passes Arrow's reader and would poison the table.
            batch.validate(full=True)
        return batch


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise FileRefusedError(NOT_PARQUET) from None


def _chunk(table: Table, batch: pa.RecordBatch, lines: pa.Array) -> Chunk:
    return Chunk(text_rows(table, [_as_text(batch.column(c.name)) for c in table.payload], lines))


def _type_rule(column: Column, schema: pa.Schema) -> str | None:
    kind = schema.field(column.name).type
    if column.type == TIMESTAMP and kinds.is_timestamp(kind) and kind.tz is None:
        return f"{column.name}_has_no_zone"
    return None if _is_lossless(kind, column) else f"column_type:{shown(column.name)}"


def _is_lossless(kind: pa.DataType, column: Column) -> bool:
    if kinds.is_null(kind) or _is_text(kind):
        return True
    if column.type == TIMESTAMP:
        return bool(kinds.is_timestamp(kind))
    if column.type == DATE:
        return bool(kinds.is_date(kind))
    if kinds.is_integer(kind):
        return True
    return bool(kinds.is_decimal(kind)) and column.type not in (TEXT, COUNT)


def _is_text(kind: pa.DataType) -> bool:
    if kinds.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _is_declared(found: str, column: Column) -> bool:
    declared = duckdb_type(column.type)
    if found == declared:
        return True
    if column.type == COUNT:
        return found in _SMALLER_INTEGERS
    return kinds.is_decimal(column.type) and _NARROWER_MONEY.fullmatch(found) is not None


def _as_text(values: Any) -> pa.Array:
    """Values as the text that `strict_types` reads back to the same values."""
    kind = values.type
    if kinds.is_timestamp(kind):
        # The same instant in one zone, so that payloads do not depend on the road taken.
        values = values.cast(pa.timestamp(kind.unit, "UTC"))
    text = pc.cast(values, TEXT)
    if kinds.is_decimal(kind):
        return pc.replace_substring_regex(text, r"(\.\d\d)0+$", r"\1")
    return text


def _is_good(table: Table, max_field_bytes: int) -> str:
    tests = [f'("{c.name}" IS NULL OR ({test}))' for c in table.payload if (test := _test(c, max_field_bytes))]
    return f"({' AND '.join(tests) or 'true'})"


def _test(column: Column, max_field_bytes: int) -> str | None:
    name = column.name
    if column.type == TEXT:
        return f'strlen("{name}") <= {max_field_bytes} AND NOT contains("{name}", chr(0))'
    if column.type == TIMESTAMP:
        return f"\"{name}\" BETWEEN TIMESTAMPTZ '{FIRST_MOMENT}' AND TIMESTAMPTZ '{LAST_MOMENT}'"
    return f"\"{name}\" BETWEEN DATE '{FIRST_DAY}' AND DATE '{LAST_DAY}'" if column.type == DATE else None


def _scan(file: Path) -> str:
    # A folder named like user_id=7 must not become a column's value.
    return f"read_parquet([{sql_text(str(file))}], file_row_number = true, hive_partitioning = false)"


def _names(table: Table) -> str:
    return ", ".join(f'"{c.name}"' for c in table.payload)
