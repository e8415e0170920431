"""Dates in SQLite: calls, because its own functions carry over a month's end, count in floats and answer NULL."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.types import BIGINT, DATE, of
from sql.transforms.calls import call
from sql.transforms.dates import (
    CALENDAR_DIFFERENCES,
    TRUNCATIONS,
    days_of,
    difference_of,
    interval_of,
    part_of,
    unit_of,
)

_DIFFERENCES = (*CALENDAR_DIFFERENCES, "hour", "minute", "second", "millisecond", "microsecond")


def call_parts_of_dates(node: exp.Expr) -> exp.Expr:
    """Writes EXTRACT, YEAR and the like as a call.

    For SQLite, which knows parts by format only.
    """
    part = part_of(node)
    return node if part is None else call("date_part", *part, kind=BIGINT)


def call_truncations(node: exp.Expr) -> exp.Expr:
    """Writes DATE_TRUNC as a call.

    For SQLite, which has none.
    """
    if isinstance(node, exp.TimestampTrunc):
        return call("date_trunc", unit_of(node, TRUNCATIONS), node.this, kind=of(node))
    return node


def call_makers_of_dates(node: exp.Expr) -> exp.Expr:
    """Writes MAKE_DATE and LAST_DAY as calls.

    For SQLite, which has neither, and takes the 30th of February for the 1st of March.
    """
    if isinstance(node, exp.DateFromParts):
        return call("make_date", node.args["year"], node.args["month"], node.args["day"], kind=DATE)
    if isinstance(node, exp.LastDay):
        return call("last_day", node.this, kind=DATE)
    return node


def call_differences(node: exp.Expr) -> exp.Expr:
    """Writes DATE_DIFF, and a date less a date, as a call.

    For SQLite, which would subtract the years of the texts.
    """
    difference = difference_of(node, _DIFFERENCES)
    return node if difference is None else call("date_diff", *difference, kind=BIGINT)


def call_moves(node: exp.Expr) -> exp.Expr:
    """Writes a date plus days, and a moment plus an interval, as a call.

    For SQLite, which would add to the year of the text.
    """
    if (days := days_of(node)) is not None:
        return call("date_add", "day", days[1], days[0], kind=DATE)
    if (moved := interval_of(node)) is not None:
        moment, count, unit = moved
        return call("date_add", unit, count, moment, kind=of(node))
    return node
