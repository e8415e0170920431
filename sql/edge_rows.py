"""Rows made of edges: what goes wrong between engines goes wrong here first.

NULLs, empty and blank text, mixed case, letters beyond ASCII, month ends, leap days, the last microsecond of a day,
ties, negatives, zeros, the largest money, and identifiers that match often enough for joins and groups.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from lake.table import COUNT, DATE, FLAG, RATIO, TEXT, TIMESTAMP, Column, Layer, Table

# Enough for each pair of edges in a table to meet, few enough for every engine to take a second.
ROWS = 300
_IDENTIFIERS = ("1", "2", "3", "A", "a", "Ä", "ä", "1 ", " 1", "小", "ß", "")
# Names no row of any table.
_NOBODY = "nobody"
_WORDS = (
    "",
    " ",
    "x",
    "X",
    "  Mixed Case ",
    "ÄÖÜß",
    "İstanbul",
    "naïve",
    "小龍",
    "O'Neill",
    '"',
    "%",
    "_",
    "a\\b",
    "💥",
)
_DAYS = (
    date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 1), date(2024, 12, 30), date(2024, 12, 31), date(2025, 1, 1),
    date(2025, 2, 28), date(2025, 3, 30), date(2025, 3, 31), date(2025, 10, 26), date(1999, 12, 31), date(2100, 2, 28),
)  # fmt: skip
# Only bronze, where nothing is judged yet, holds them: silver accepts the years 1900 to 2200.
_WILD_DAYS = (
    date(1, 1, 1),
    date(9999, 12, 31),
    date(1899, 12, 31),
    date(1900, 1, 1),
    date(2200, 12, 31),
    date(2201, 1, 1),
)
_CLOCKS = (timedelta(), timedelta(microseconds=1), timedelta(hours=12), timedelta(days=1, microseconds=-1))
_COUNTS = (0, 1, 1, 2, 3, 5, 7, 9, 59, 60, 61, -1, -7, 2**31, 2**53 + 1)
_MONEY = tuple(
    map(Decimal, ("0.00", "0.01", "0.05", "1.00", "1.01", "9.99", "10.00", "33.33", "-0.01", "-5.00", "99999999.99"))
)
_RATIOS = (0.0, 0.5, 1.0, -1.0, 1 / 3, 1e-12, 1e12)
# Seldom enough that joins still find partners.
_NULL_SHARE = 0.06
_WILD_SHARE = 0.15
_CODES = ("paid", "organic", "email", "signup", "page_view", "purchase", "checkout", "activation", "feature_use",
          "succeeded", "failed", "card", "control", "treatment", "cancelled", "plan_change", "low", "urgent", "billing",
          "desktop", "mobile", "DE", "US", "dissatisfied")  # fmt: skip
# More codes would leave columns that list none of them, such as experiment_id, too few partners for joins.
_LISTED_CODES = (*_CODES, "in_store", "online", "EUR", "grocery")


def edge_rows(table: Table, rows: int = ROWS) -> pa.Table:
    """Edge rows of a table, the same ones every time.

    Silver and gold rows are complete where the declaration says so, as their gates would see to; their keys are unique.

    Args:
        table: Any table that a model may read.
        rows: How many; a bronze table's keys repeat.
    """
    draw = random.Random(table.full_name)
    columns = {c.name: [_value(draw, table, c) for _ in range(rows)] for c in table.columns}
    columns["_line"] = list(range(1, rows + 1))
    if table.layer is not Layer.BRONZE:
        columns[table.key[0]] = _unique(table, columns[table.key[0]])
    return pa.table({c.name: pa.array(columns[c.name], c.type) for c in table.columns}, schema=table.schema)


def _unique(table: Table, values: Sequence[Any]) -> list[Any]:
    """Key values each once: first those others refer to, then numbered ones."""
    known = list(dict.fromkeys(value for value in values if value is not None))
    return known + [f"{table.name}-{i}" for i in range(len(values) - len(known))]


def _value(draw: random.Random, table: Table, column: Column) -> Any:
    may_be_null = not column.required or table.layer is Layer.BRONZE
    if may_be_null and not column.name.startswith("_") and draw.random() < _NULL_SHARE:
        return None
    if column.name == "_batch_id":
        return draw.choice(("b1", "b2"))
    kind, is_wild = column.type, table.layer is Layer.BRONZE and draw.random() < _WILD_SHARE
    if kind == TEXT:
        return _text(draw, table, column)
    if kind in (DATE, TIMESTAMP):
        day = draw.choice(_WILD_DAYS if is_wild else _DAYS)
        if kind == DATE:
            return day
        clock = draw.choice(_CLOCKS)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + clock
    pools: dict[pa.DataType, Sequence[Any]] = {COUNT: _COUNTS, FLAG: (True, False), RATIO: _RATIOS}
    return draw.choice(pools.get(kind, _MONEY))


def _text(draw: random.Random, table: Table, column: Column) -> str:
    if column.name.endswith("_id") and column.name != "experiment_id":
        leads_nowhere = table.layer is Layer.BRONZE and column.name not in table.key and draw.random() < _WILD_SHARE
        return _NOBODY if leads_nowhere else draw.choice(_IDENTIFIERS)
    codes = [code for code in _LISTED_CODES if code in column.description] or list(_CODES)
    if table.layer is Layer.BRONZE and draw.random() < 3 * _NULL_SHARE:
        code = draw.choice(codes)
        return draw.choice((code.upper(), f" {code} ", code.title(), draw.choice(_WORDS)))
    return draw.choice(_WORDS) if column.name == "name" else draw.choice(codes)
