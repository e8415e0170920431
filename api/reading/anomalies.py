"""Anomalies, newest first, by rule, account, merchant, time and score."""

from __future__ import annotations

from typing import Annotated

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from api.reading.pages import DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS, Ordering, Page, PageRequest, read_page
from api.reading.parameters import CursorText, Id, Moment, Version
from api.reading.versions import TableVersions
from lake.rules import Rule
from lake.tables.anomalies import TRANSACTION_ANOMALIES

ORDER = (Ordering("occurred_at", descending=True), Ordering("transaction_id"))


class AnomalyFilters(BaseModel):
    """Query parameters of the list; a row must meet all that are given."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    rule: Annotated[Rule | None, Field(description="Rule that fired.", examples=["velocity"])] = None
    account_id: Annotated[Id | None, Field(description="Account that paid.", examples=["a-000042"])] = None
    merchant_id: Annotated[Id | None, Field(description="Merchant that was paid.", examples=["m-000007"])] = None
    since: Annotated[
        Moment | None,
        Field(alias="from", description="First moment, RFC 3339 with a zone.", examples=["2026-01-01T00:00:00Z"]),
    ] = None
    until: Annotated[
        Moment | None,
        Field(alias="to", description="First moment no longer included.", examples=["2026-04-01T00:00:00Z"]),
    ] = None
    min_score: Annotated[
        float | None, Field(ge=0, le=1, allow_inf_nan=False, description="Lowest score.", examples=[0.5])
    ] = None
    version: Version = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE_ROWS, description="Most rows of the page.")] = DEFAULT_PAGE_ROWS
    cursor: CursorText = None


def read_anomalies(versions: TableVersions, asked: AnomalyFilters) -> Page:
    """A page of anomalies.

    Raises:
        Problem: 400 for a cursor of another walk, 404 for a version that cannot be read.
        LakehouseError: The table cannot be read.
    """
    conditions = _conditions(asked)
    return read_page(
        versions,
        PageRequest(
            table=TRANSACTION_ANOMALIES,
            order=ORDER,
            filters=asked.model_dump(exclude={"version", "limit", "cursor"}, exclude_none=True),
            condition=pl.all_horizontal(conditions) if conditions else None,
            columns=TRANSACTION_ANOMALIES.column_names,
            version=asked.version,
            limit=asked.limit,
            cursor=asked.cursor,
        ),
    )


def _conditions(asked: AnomalyFilters) -> list[pl.Expr]:
    conditions = []
    if asked.rule is not None:
        conditions.append(pl.col("rules").list.contains(pl.lit(asked.rule.value)))
    if asked.account_id is not None:
        conditions.append(pl.col("account_id") == asked.account_id)
    if asked.merchant_id is not None:
        conditions.append(pl.col("merchant_id") == asked.merchant_id)
    if asked.since is not None:
        conditions.append(pl.col("occurred_at") >= asked.since)
    if asked.until is not None:
        conditions.append(pl.col("occurred_at") < asked.until)
    if asked.min_score is not None:
        conditions.append(pl.col("score") >= asked.min_score)
    return conditions
