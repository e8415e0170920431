"""Operations on dates and moments, told apart by what they do; each target writes them in words of its own."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import DATE, known, of, put
from sql.transforms.calls import bare, grouped, number

_PARTS: dict[type[exp.Expr], str] = {
    exp.Year: "year",
    exp.Month: "month",
    exp.Day: "day",
    exp.Quarter: "quarter",
    exp.Hour: "hour",
    exp.Minute: "minute",
    exp.Second: "second",
    exp.DayOfWeek: "dow",
    exp.DayOfWeekIso: "isodow",
    exp.DayOfYear: "doy",
    exp.WeekOfYear: "week",
    exp.Week: "week",
}
_DATE_PARTS = ("year", "quarter", "month", "week", "day", "dow", "isodow", "doy")
_CLOCK_PARTS = ("hour", "minute", "second")
TRUNCATIONS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
CALENDAR_DIFFERENCES = ("year", "quarter", "month", "day")
EXACT_DIFFERENCES = (*CALENDAR_DIFFERENCES, "microsecond")
_INTERVALS = ("year", "month", "week", "day", "hour", "minute", "second")


def unit_of(node: exp.Expr, carried: tuple[str, ...]) -> str:
    unit: str = (node.args["unit"] if not isinstance(node, exp.Extract) else node.this).name.lower().rstrip("s")
    if unit not in carried:
        raise NotCarriedError(node, f"{node.key.upper()} by {unit}", f"one of {', '.join(carried)}")
    return unit


def part_of(node: exp.Expr) -> tuple[str, exp.Expr] | None:
    """The part a node asks for, and of what; None when it asks for none."""
    carried = (*_DATE_PARTS, *_CLOCK_PARTS)
    if isinstance(node, exp.Extract):
        part, value = unit_of(node, carried), node.expression
    elif type(node) in _PARTS:
        part, value = _PARTS[type(node)], node.this
    else:
        return None
    if part in _CLOCK_PARTS and of(value) == DATE:
        raise NotCarriedError(node, f"{part.upper()} of a DATE", "0")
    return part, value


def interval_of(node: exp.Expr) -> tuple[exp.Expr, exp.Expr, str] | None:
    """Moment, signed count and unit of ``moment + INTERVAL``; None when `node` is something else."""
    if not isinstance(node, exp.Add | exp.Sub) or not isinstance(interval := bare(node.expression), exp.Interval):
        return None
    unit = unit_of(interval, _INTERVALS)
    count = bare(interval.this)
    if isinstance(count, exp.Literal):
        value = int(count.this)
        count = number(-value if isinstance(node, exp.Sub) else value)
    elif isinstance(node, exp.Sub):
        count = put(exp.Neg(this=grouped(count)), of(count).bare)
    return node.this, bare(count), unit


def days_of(node: exp.Expr) -> tuple[exp.Expr, exp.Expr] | None:
    """Date and signed count of ``date + days``; None when `node` is something else."""
    if not isinstance(node, exp.Add | exp.Sub) or known(node) != DATE:
        return None
    count = bare(node.expression)
    if isinstance(node, exp.Sub):
        count = number(-int(count.this)) if isinstance(count, exp.Literal) else exp.Neg(this=grouped(count))
        put(count, of(node.expression).bare)
    return node.this, count


def difference_of(node: exp.Expr, carried: tuple[str, ...]) -> tuple[str, exp.Expr, exp.Expr] | None:
    """Unit, start and end of a difference; None when `node` is something else."""
    if isinstance(node, exp.Sub) and known(node.this) == known(node.expression) == DATE:
        return "day", node.expression, node.this
    if not isinstance(node, exp.DateDiff):
        return None
    unit = unit_of(node, carried)
    if unit not in CALENDAR_DIFFERENCES and of(node.this) == DATE:
        raise NotCarriedError(node, f"DATE_DIFF of dates by {unit}", "by day, times a number")
    return unit, node.expression, node.this
