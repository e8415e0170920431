"""Dates in Spark: its functions that mean the same, and arithmetic where none does."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.types import BIGINT, DATE, TIMESTAMPTZ, SqlType, of, put
from sql.transforms.calls import bare, call, cast, grouped, number
from sql.transforms.dates import EXACT_DIFFERENCES, TRUNCATIONS, days_of, difference_of, interval_of, part_of, unit_of

_PARTS = {
    "year": "YEAR", "quarter": "QUARTER", "month": "MONTH", "week": "WEEKOFYEAR", "day": "DAY",
    "doy": "DAYOFYEAR", "hour": "HOUR", "minute": "MINUTE", "second": "SECOND",
}  # fmt: skip
_DAYS_OF_WEEK = 7


def name_parts_for_spark(node: exp.Expr) -> exp.Expr:
    """Writes EXTRACT, YEAR and the like by Spark's functions.

    For Spark, whose weekdays start at 1 on Sunday, or at 0 on Monday.
    """
    part = part_of(node)
    return node if part is None else _spark_part(*part)


def truncate_for_spark(node: exp.Expr) -> exp.Expr:
    """Casts what DATE_TRUNC answers back to DuckDB's type.

    For Spark, where it is always a zoned moment.
    """
    if isinstance(node, exp.TimestampTrunc):
        return cast(call("DATE_TRUNC", unit_of(node, TRUNCATIONS).upper(), node.this, kind=of(node)), of(node))
    return node


def make_dates_for_spark(node: exp.Expr) -> exp.Expr:
    """Writes MAKE_DATE of plain integers, and LAST_DAY.

    For Spark, whose MAKE_DATE takes no BIGINT.
    """
    if isinstance(node, exp.DateFromParts):
        return call("MAKE_DATE", *(as_int(node.args[key]) for key in ("year", "month", "day")), kind=DATE)
    if isinstance(node, exp.LastDay):
        return call("LAST_DAY", node.this, kind=DATE)
    return node


def count_differences_for_spark(node: exp.Expr) -> exp.Expr:
    """Writes DATE_DIFF, and a date less a date, as a count of the borders between.

    For Spark, whose DATEDIFF counts whole units passed, and where a date less a date is an interval.
    """
    difference = difference_of(node, EXACT_DIFFERENCES)
    return node if difference is None else _spark_difference(*difference)


def move_dates_for_spark(node: exp.Expr) -> exp.Expr:
    """Writes a date plus days as DATE_ADD, and an interval by the function that makes one.

    For Spark, whose INTERVAL takes no column.
    """
    if (days := days_of(node)) is not None:
        return call("DATE_ADD", days[0], as_int(days[1]), kind=DATE)
    if (moved := interval_of(node)) is not None:
        moment, count, unit = moved
        return put(exp.Add(this=moment, expression=_spark_interval(as_int(count), unit)), of(node))
    return node


def _spark_part(part: str, value: exp.Expr) -> exp.Expr:
    if part == "isodow":
        return _plus(call("WEEKDAY", value, kind=BIGINT), 1)
    if part == "dow":
        return _plus(call("DAYOFWEEK", value, kind=BIGINT), -1)
    return call(_PARTS[part], value, kind=BIGINT)


def _plus(node: exp.Expr, value: int) -> exp.Expr:
    operator = exp.Add if value > 0 else exp.Sub
    return put(exp.Paren(this=operator(this=node, expression=number(abs(value)))), BIGINT)


def _spark_difference(unit: str, start: exp.Expr, end: exp.Expr) -> exp.Expr:
    if unit == "microsecond":
        # Sail has no TIMESTAMPDIFF of microseconds, and Spark's UNIX_MICROS takes zoned moments only.
        zoned = [moment if of(moment) == TIMESTAMPTZ else cast(moment, TIMESTAMPTZ) for moment in (start, end)]
        first, last = (call("UNIX_MICROS", moment, kind=BIGINT) for moment in zoned)
        return put(exp.Paren(this=put(exp.Sub(this=last, expression=first), BIGINT)), BIGINT)
    if unit == "day":
        days = [moment if of(moment) == DATE else cast(moment, DATE) for moment in (end, start)]
        return cast(call("DATEDIFF", *days, kind=BIGINT), BIGINT)
    passed = exp.Sub(this=_periods(unit, end), expression=exp.Paren(this=_periods(unit, start)))
    return put(exp.Paren(this=passed), BIGINT)


def _periods(unit: str, moment: exp.Expr) -> exp.Expr:
    """Years, quarters or months since year 0."""
    year = cast(call("YEAR", moment, kind=BIGINT), BIGINT)
    if unit == "year":
        return year
    per_year = {"quarter": 4, "month": 12}[unit]
    scaled = exp.Mul(this=year, expression=number(per_year))
    return exp.Add(this=scaled, expression=call(unit.upper(), moment.copy(), kind=BIGINT))


def _spark_interval(count: exp.Expr, unit: str) -> exp.Expr:
    if unit in ("year", "month"):
        arguments: list[exp.Expr | int] = [count] if unit == "year" else [0, count]
        return call("MAKE_YM_INTERVAL", *arguments, kind=BIGINT)
    if unit == "week":
        count, unit = exp.Mul(this=grouped(count), expression=number(_DAYS_OF_WEEK)), "day"
    zeros = [0] * ("day", "hour", "minute", "second").index(unit)
    return call("MAKE_DT_INTERVAL", *zeros, count, kind=BIGINT)


def as_int(count: exp.Expr) -> exp.Expr:
    """A count as the plain integer these functions take."""
    return count if isinstance(bare(count), exp.Literal | exp.Neg) else cast(count, SqlType("INTEGER"))
