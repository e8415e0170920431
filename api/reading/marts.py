"""Gold's marts, row by row in key order, by the mart's day or month."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from api.problems import FieldError, not_found, unprocessable
from api.reading.pages import DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS, Ordering, Page, PageRequest, read_page
from api.reading.parameters import CursorText, Version
from api.reading.versions import TableVersions
from lake.table import DATE, Table
from lake.tables import GOLD

MARTS: dict[str, Table] = {table.name: table for table in GOLD}


class MartFilters(BaseModel):
    """Query parameters of a mart's rows."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    on: Annotated[date | None, Field(description="This day, or month by its first day.", examples=["2026-01-31"])] = (
        None
    )
    since: Annotated[date | None, Field(alias="from", description="First day or month.", examples=["2026-01-01"])] = (
        None
    )
    until: Annotated[
        date | None, Field(alias="to", description="First day or month not included.", examples=["2026-02-01"])
    ] = None
    version: Version = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE_ROWS, description="Most rows of the page.")] = DEFAULT_PAGE_ROWS
    cursor: CursorText = None


def date_column(table: Table) -> str | None:
    """The day or month a mart has a row for; None when it has rows for something else."""
    return next((name for name in table.key if table.column(name).type == DATE), None)


def read_mart(versions: TableVersions, name: str, asked: MartFilters) -> Page:
    """A page of a mart.

    Raises:
        Problem: 400 for a cursor of another walk, 404 for a mart or version there is not, 422 for a date a mart has
            no column for.
        LakehouseError: The table cannot be read.
    """
    table = MARTS.get(name)
    if table is None:
        raise not_found("There is no such mart.", {"marts": sorted(MARTS)})
    filters = asked.model_dump(mode="json", include={"on", "since", "until"}, exclude_none=True)
    column = date_column(table)
    if filters and column is None:
        raise unprocessable(
            f"{table.full_name} has rows for {' and '.join(table.key)}, not for days or months.",
            [FieldError(f"?{_NAMES[f]}", "no_date_column", "The mart has no day or month.") for f in filters],
        )
    return read_page(
        versions,
        PageRequest(
            table=table,
            order=tuple(Ordering(key) for key in table.key),
            filters={"mart": name, **filters},
            condition=_between(column, asked) if column and filters else None,
            columns=table.column_names,
            version=asked.version,
            limit=asked.limit,
            cursor=asked.cursor,
        ),
    )


_NAMES = {"on": "on", "since": "from", "until": "to"}


def _between(column: str, asked: MartFilters) -> pl.Expr:
    day = pl.col(column)
    conditions = []
    if asked.on is not None:
        conditions.append(day == asked.on)
    if asked.since is not None:
        conditions.append(day >= asked.since)
    if asked.until is not None:
        conditions.append(day < asked.until)
    return pl.all_horizontal(conditions)
