"""Dates in Snowflake: its functions by the names that follow no session setting."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import BIGINT, DATE, of, put
from sql.transforms.calls import bare, call, cast, number
from sql.transforms.dates import EXACT_DIFFERENCES, TRUNCATIONS, days_of, difference_of, interval_of, part_of, unit_of

_PARTS = {
    "year": "YEAR", "quarter": "QUARTER", "month": "MONTH", "week": "WEEKISO", "day": "DAY",
    "isodow": "DAYOFWEEKISO", "doy": "DAYOFYEAR", "hour": "HOUR", "minute": "MINUTE", "second": "SECOND",
}  # fmt: skip
# Weeks of DATE_TRUNC start on the day a session parameter says.
_TRUNCATIONS = tuple(unit for unit in TRUNCATIONS if unit != "week")
_SHORTEST_MONTH = 28
_DAYS_OF_WEEK = 7


def name_parts_for_snowflake(node: exp.Expr) -> exp.Expr:
    """Writes EXTRACT, YEAR and the like as DATE_PART of ISO's names.

    For Snowflake, whose week and weekday follow session parameters.
    """
    part = part_of(node)
    if part is None:
        return node
    name, value = part
    if name != "dow":
        return call("DATE_PART", exp.Var(this=_PARTS[name]), value, kind=BIGINT)
    iso = call("DATE_PART", exp.Var(this=_PARTS["isodow"]), value, kind=BIGINT)
    return put(exp.Paren(this=put(exp.Mod(this=iso, expression=number(_DAYS_OF_WEEK)), BIGINT)), BIGINT)


def truncate_for_snowflake(node: exp.Expr) -> exp.Expr:
    """Writes DATE_TRUNC, but by weeks.

    For Snowflake, whose week starts where a session parameter says.
    """
    if isinstance(node, exp.TimestampTrunc):
        return call("DATE_TRUNC", unit_of(node, _TRUNCATIONS).upper(), node.this, kind=of(node))
    return node


def make_dates_for_snowflake(node: exp.Expr) -> exp.Expr:
    """Writes MAKE_DATE of a written day as DATE_FROM_PARTS, and LAST_DAY.

    For Snowflake, which takes the 30th of February for the 1st of March, and month 13 for January.
    """
    if isinstance(node, exp.LastDay):
        return call("LAST_DAY", node.this, kind=DATE)
    if not isinstance(node, exp.DateFromParts):
        return node
    day = bare(node.args["day"])
    if not isinstance(day, exp.Literal) or int(day.this) > _SHORTEST_MONTH:
        raise NotCarriedError(
            node, "MAKE_DATE with a computed day, which Snowflake carries over", "the first, plus days"
        )
    return call("DATE_FROM_PARTS", node.args["year"], node.args["month"], day, kind=DATE)


def count_differences_for_snowflake(node: exp.Expr) -> exp.Expr:
    """Writes DATE_DIFF, and a date less a date, as DATEDIFF.

    For Snowflake, which counts borders as DuckDB does.
    """
    difference = difference_of(node, EXACT_DIFFERENCES)
    if difference is None:
        return node
    unit, start, end = difference
    return call("DATEDIFF", exp.Var(this=unit.upper()), start, end, kind=BIGINT)


def move_dates_for_snowflake(node: exp.Expr) -> exp.Expr:
    """Writes a date plus days, and a moment plus an interval, as DATEADD.

    For Snowflake, whose INTERVAL takes no column.
    """
    if (days := days_of(node)) is not None:
        return cast(call("DATEADD", exp.Var(this="DAY"), days[1], days[0], kind=DATE), DATE)
    if (moved := interval_of(node)) is not None:
        moment, count, unit = moved
        return call("DATEADD", exp.Var(this=unit.upper()), count, moment, kind=of(node))
    return node
