"""Dates and moments as text: ``YYYY-MM-DD``, with ``HH:MM:SS.ffffff`` behind it, and ``+00:00`` behind that."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, datetime, timedelta

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DAY_WIDTH = len("YYYY-MM-DD")
_MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}
_MICROSECONDS_OF = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 604_800_000_000,
}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - text without a zone, or all of it in UTC
_MICROSECOND = timedelta(microseconds=1)


def _read(text: str) -> datetime:
    # The zone is UTC wherever there is one.
    return datetime.fromisoformat(text[:26])


def _write(moment: datetime, like: str) -> str:
    if len(like) == _DAY_WIDTH:
        return moment.date().isoformat()
    return moment.isoformat(" ", "microseconds") + like[26:]


def text_to_date(text: str) -> str:
    """The date a text is.

    Raises:
        ValueError: It is not written YYYY-MM-DD; DuckDB reads other forms too, which nobody should have to guess.
    """
    if not _DAY.fullmatch(text):
        raise ValueError(f"'{text}' is not written YYYY-MM-DD")
    return date.fromisoformat(text).isoformat()


def date_part(part: str, text: str) -> int:
    """A part of a date or moment, as DuckDB counts: Sunday is day 0, or 7 in ISO's week."""
    moment = _read(text)
    match part:
        case "quarter":
            return (moment.month + 2) // 3
        case "week":
            return moment.isocalendar().week
        case "dow":
            return moment.isoweekday() % 7
        case "isodow":
            return moment.isoweekday()
        case "doy":
            return moment.timetuple().tm_yday
        case _:
            return int(getattr(moment, part))


def date_trunc(unit: str, text: str) -> str:
    """The first moment of the unit; weeks start on Monday."""
    moment = _read(text)
    if unit in _MONTHS_OF:
        months = _MONTHS_OF[unit]
        first = moment.replace(month=(moment.month - 1) // months * months + 1, day=1)
        return _write(datetime.combine(first, datetime.min.time()), text)
    if unit == "week":
        moment -= timedelta(days=moment.weekday())
        unit = "day"
    rest = (moment - _EPOCH) // _MICROSECOND % _MICROSECONDS_OF[unit]
    return _write(moment - rest * _MICROSECOND, text)


def date_diff(unit: str, start: str, end: str) -> int:
    """How many starts of the unit lie between two moments."""
    return _ordinal(unit, _read(end)) - _ordinal(unit, _read(start))


def _ordinal(unit: str, moment: datetime) -> int:
    if unit in _MONTHS_OF:
        return (moment.year * 12 + moment.month - 1) // _MONTHS_OF[unit]
    return (moment - _EPOCH) // _MICROSECOND // _MICROSECONDS_OF[unit]


def date_add(unit: str, count: int, text: str) -> str:
    """The moment `count` units later; the last day of a shorter month where there is no such day.

    Raises:
        ValueError, OverflowError: Outside the years 1 to 9999.
    """
    moment = _read(text)
    if unit not in _MONTHS_OF:
        return _write(moment + count * _MICROSECONDS_OF[unit] * _MICROSECOND, text)
    years, month = divmod(moment.year * 12 + moment.month - 1 + count * _MONTHS_OF[unit], 12)
    day = min(moment.day, monthrange(years, month + 1)[1])
    return _write(moment.replace(year=years, month=month + 1, day=day), text)


def make_date(year: int, month: int, day: int) -> str:
    """The date of a year, month and day; an error when there is none."""
    return date(year, month, day).isoformat()


def last_day(text: str) -> str:
    """The last day of the month."""
    first = date.fromisoformat(text)
    return first.replace(day=monthrange(first.year, first.month)[1]).isoformat()
