"""The one strict reading of text as declared types, whatever format the text came from.

Nothing is rounded, guessed or trimmed: a value is exactly of its type, or its row is refused with every
rule it broke. DuckDB evaluates the rules a chunk at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import pyarrow as pa

from lake.table import COUNT, DATE, TEXT, TIMESTAMP, Column, Table
from lake.text_types import (
    BELOW_MICROSECONDS,
    DAY,
    DECIMAL,
    FIRST_DAY,
    FIRST_MOMENT,
    FOUR_DIGIT_YEAR,
    INTEGER,
    LAST_DAY,
    LAST_MOMENT,
    LOCAL_TIME,
    TIME,
    finer_than,
)
from sql.engines.duckdb import DuckDBEngine, duckdb_type
from tasks.landing.chunk import BROKEN, LINE

ROW = "_row"
RULES = "_rules"

# DuckDB gives each thread whole record batches; one batch a chunk would keep it to one thread.
_BATCH_ROWS = 16_384


class StrictTypes:
    """Converts text rows of one table; a context manager.

    Args:
        engine: DuckDB; a connection of its own is opened on it.
        table: Bronze table.
        max_field_bytes: Longest field in UTF-8 bytes.
    """

    def __init__(self, engine: DuckDBEngine, table: Table, max_field_bytes: int) -> None:
        self._connection = engine.connection.cursor()
        self._select = strict_select(table, max_field_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def convert(self, rows: pa.Table) -> pa.Table:
        """Typed columns, `_line`, `_row` (position in `rows`) and `_rules` (NULL for a good row), in any order.

        Args:
            rows: See `tasks.landing.chunk.Chunk`.
        """
        numbered = rows.append_column(ROW, pa.array(range(rows.num_rows), pa.int64()))
        in_batches = pa.Table.from_batches(numbered.to_batches(max_chunksize=_BATCH_ROWS), numbered.schema)
        self._connection.register("landed_text", in_batches)
        try:
            return self._connection.sql(self._select).to_arrow_table()
        finally:
            self._connection.unregister("landed_text")


def strict_select(table: Table, max_field_bytes: int) -> str:
    """The SELECT over `landed_text` that `StrictTypes.convert` runs."""
    values = [f'TRY_CAST("{c.name}" AS {duckdb_type(c.type)}) AS "{c.name}"' for c in table.payload]
    rules = [rule for c in table.payload for rule in (_too_long(c, max_field_bytes), *_type_rules(c))]
    # A first list of known rules is NULL in nearly every row.
    broken = f"list_concat(coalesce({BROKEN}, []), list_filter([{', '.join(rules)}], lambda x: x IS NOT NULL))"
    return f"SELECT {', '.join(values)}, {LINE}, {ROW}, nullif({broken}, []) AS {RULES} FROM landed_text"


def _type_rules(column: Column) -> list[str]:
    kind = str(column.type)
    rules: Callable[[Column], list[str]] = _RULES_BY_TYPE.get(kind, _decimal_rules)
    return rules(column)


def _rule(column: Column, condition: str, name: str) -> str:
    return f"CASE WHEN {condition} THEN '{column.name}_{name}' END"


def _matches(column: Column, pattern: str) -> str:
    return f"regexp_full_match(\"{column.name}\", '{pattern}')"


def _typed(column: Column) -> str:
    return f'TRY_CAST("{column.name}" AS {duckdb_type(column.type)})'


def _too_long(column: Column, max_field_bytes: int) -> str:
    return _rule(column, f'strlen("{column.name}") > {max_field_bytes}', "too_long")


def _text_rules(column: Column) -> list[str]:
    return [_rule(column, f'contains("{column.name}", chr(0))', "has_nul")]


def _integer_rules(column: Column) -> list[str]:
    matches = _matches(column, INTEGER)
    return [
        _rule(column, f"NOT {matches}", "not_an_integer"),
        _rule(column, f"{matches} AND {_typed(column)} IS NULL", "out_of_range"),
    ]


def _decimal_rules(column: Column) -> list[str]:
    matches = _matches(column, DECIMAL)
    finer = finer_than(column.type.scale)
    return [
        _rule(column, f"NOT {matches}", "not_a_decimal"),
        _rule(column, f"{matches} AND regexp_matches(\"{column.name}\", '{finer}')", "too_precise"),
        _rule(column, f"{matches} AND {_typed(column)} IS NULL", "out_of_range"),
    ]


def _date_rules(column: Column) -> list[str]:
    bounds = f"DATE '{FIRST_DAY}' AND DATE '{LAST_DAY}'"
    return [_calendar_rule(column, DAY, "not_a_date", bounds)]


def _timestamp_rules(column: Column) -> list[str]:
    bounds = f"TIMESTAMPTZ '{FIRST_MOMENT}' AND TIMESTAMPTZ '{LAST_MOMENT}'"
    finer = f"{_matches(column, TIME)} AND regexp_matches(\"{column.name}\", '{BELOW_MICROSECONDS}')"
    return [
        _rule(column, _matches(column, LOCAL_TIME), "has_no_zone"),
        f"CASE WHEN NOT {_matches(column, LOCAL_TIME)} "
        f"THEN {_calendar_rule(column, TIME, 'not_a_timestamp', bounds)} END",
        _rule(column, finer, "too_precise"),
    ]


def _calendar_rule(column: Column, pattern: str, unreadable: str, bounds: str) -> str:
    """Unreadable, or readable but outside the years 1 to 9999; never both."""
    name = column.name
    return (
        f"CASE WHEN NOT {_matches(column, pattern)} THEN '{name}_{unreadable}' "
        f"WHEN NOT regexp_matches(\"{name}\", '{FOUR_DIGIT_YEAR}') THEN '{name}_out_of_range' "
        f"WHEN \"{name}\" IS NOT NULL AND {_typed(column)} IS NULL THEN '{name}_{unreadable}' "
        f"WHEN {_typed(column)} NOT BETWEEN {bounds} THEN '{name}_out_of_range' END"
    )


_RULES_BY_TYPE: dict[str, Callable[[Column], list[str]]] = {
    str(TEXT): _text_rules,
    str(COUNT): _integer_rules,
    str(DATE): _date_rules,
    str(TIMESTAMP): _timestamp_rules,
}
