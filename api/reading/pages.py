"""Pages: some rows of one version in a total order, and where the next ones begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from api.reading.cursor import Key, read_cursor, write_cursor
from api.reading.versions import ReadableVersion, TableVersions
from lake.table import TIMESTAMP, Table

MAX_PAGE_ROWS = 1_000
DEFAULT_PAGE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Ordering:
    """A total order.

    Args:
        column: What rows are ordered by; the last column of an order tells any two rows apart.
        descending: Whether larger values come first.
    """

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What is asked for.

    Args:
        table: Table to read.
        order: Total order of the walk.
        filters: Names and values as asked, part of the cursor.
        condition: The filters as an expression; None for every row.
        columns: Columns of the answer.
        version: Version to read; None for the last one a gate let in.
        limit: Most rows.
        cursor: Where to begin; None at the beginning.
    """

    table: Table
    order: tuple[Ordering, ...]
    filters: Mapping[str, Any]
    condition: pl.Expr | None
    columns: tuple[str, ...]
    version: int | None
    limit: int
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, where they are from, and where the next ones begin; `next` is None at the end."""

    table: str
    version: int
    published_at: datetime
    rows: list[dict[str, Any]]
    next: str | None


def read_page(versions: TableVersions, asked: PageRequest) -> Page:
    """One page; takes memory for its rows, whatever the table's size.

    Raises:
        Problem: 400 for a cursor of another walk, 404 for a version that cannot be read.
        LakehouseError: The table cannot be read.
    """
    names = [ordering.column for ordering in asked.order]
    filters = {**asked.filters, "version": asked.version}
    cursor = read_cursor(asked.cursor, asked.table, names, filters) if asked.cursor is not None else None
    source = versions.find(asked.table, asked.version if cursor is None else cursor.version)
    rows = _first_rows(source, asked, cursor.key if cursor else None)
    more = len(rows) > asked.limit
    shown = rows[: asked.limit]
    following = write_cursor(source.version, tuple(shown[-1][n] for n in names), filters) if more else None
    wanted = [{name: row[name] for name in asked.columns} for row in shown]
    return Page(asked.table.full_name, source.version, source.at, wanted, following)


def _first_rows(source: ReadableVersion, asked: PageRequest, after: Key | None) -> list[dict[str, Any]]:
    """One row more than asked for, which says whether there is a next page."""
    if not source.files:
        return []
    rows = pl.scan_parquet([*source.files])
    if asked.condition is not None:
        rows = rows.filter(asked.condition)
    if after is not None:
        rows = rows.filter(_behind(asked, after))
    columns = list(dict.fromkeys((*asked.columns, *(o.column for o in asked.order))))
    names = [ordering.column for ordering in asked.order]
    descending = [ordering.descending for ordering in asked.order]
    # top_k keeps only as many rows as it returns; a sort would hold them all.
    first = rows.select(columns).top_k(asked.limit + 1, by=names, reverse=[not d for d in descending])
    return first.collect(engine="streaming").sort(names, descending=descending).to_dicts()


def _behind(asked: PageRequest, after: Key) -> pl.Expr:
    """Rows that come later in the order than a key: the lexicographic comparison, written out."""
    behind = pl.lit(False)
    for ordering, value in reversed(list(zip(asked.order, after, strict=True))):
        column = pl.col(ordering.column)
        bound = _literal(value, asked.table, ordering.column)
        beyond = column < bound if ordering.descending else column > bound
        behind = beyond | ((column == bound) & behind)
    return behind


def _literal(value: Any, table: Table, column: str) -> pl.Expr:
    if table.column(column).type == TIMESTAMP:
        # In microseconds, as Python's own moments end in the year 9999 and the column's do not.
        return pl.lit(value, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.lit(value)
