"""The calendar of the company's history: when people come, and which days its months begin on.

Moments are microseconds, days are days, both since 1970-01-01 UTC.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from tasks.generation import company
from tasks.generation.draws import QUANTILES, Array, Draws

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = date(1970, 1, 1)
_DAYS_OF_A_YEAR = 365.25
_SHORTEST_MONTH_DAYS = 28
# A period that begins on the last day of the history ends in the month after the next.
_MONTHS_BEYOND = 3


class Calendar:
    """Days, seasons and months of a history.

    Args:
        start: First day.
        days: Length.
    """

    def __init__(self, start: date, days: int) -> None:
        self.days = days
        self.first_day = (start - _EPOCH).days
        self.begin = self.first_day * DAY
        self.end = (self.first_day + days) * DAY
        self.activity = _activity(start, days)
        growth = 1 + company.GROWTH_PER_YEAR * np.arange(days) / _DAYS_OF_A_YEAR
        weights = self.activity * growth
        self.arrival_shares = weights / weights.sum()
        self._arrivals = np.cumsum(self.arrival_shares)
        self._kept = self.activity / self.activity.max()
        self._clock = _clock()
        self._months = _month_starts(start, days)
        # Enough to reach the end from the first day.
        self.months = days // _SHORTEST_MONTH_DAYS + 1

    def arrival_days(self, draws: Draws, count: int) -> Array:
        """Days on which `count` people first come."""
        position = np.searchsorted(self._arrivals, draws.uniform(count), side="right")
        return self.first_day + np.minimum(position, self.days - 1)

    def moments(self, draws: Draws, days: Array) -> Array:
        """A moment of each day, by the hours people are awake."""
        # 20 microseconds times 2**16 fill the gap between two quantiles of a day.
        return days * DAY + draws.pick(self._clock, len(days)) + draws.bits(len(days)).astype(np.int64) * 20

    def is_visited(self, draws: Draws, days: Array) -> Array:
        """Which visits planned for these days take place: fewer at weekends and off season, none after the end."""
        inside = days < self.first_day + self.days
        share = self._kept[np.where(inside, days - self.first_day, 0)]
        return inside & draws.chance(share, len(days))

    def before_end(self, moments: Array) -> Array:
        """The moments, none later than the last of the history."""
        return np.minimum(moments, self.end - 1)

    def anniversaries(self, days: Array) -> Array:
        """Same day of this and each following month, or the month's last: array (days, months + 1)."""
        month = np.searchsorted(self._months, days, side="right") - 1
        months = month[:, None] + np.arange(self.months + 1)
        # Past the end of the history no date matters, as long as it lies there.
        months = np.minimum(months, len(self._months) - 2)
        starts: Array = self._months[months]
        lengths = self._months[months + 1] - starts
        starts += np.minimum((days - self._months[month])[:, None], lengths - 1)
        return starts


def _activity(start: date, days: int) -> Array:
    """How busy each day is by weekday and season; 1 on average."""
    number = np.arange(days)
    weekday: Array = np.array(company.WEEKDAY_ACTIVITY)[(start.weekday() + number) % 7]
    day_of_year = start.timetuple().tm_yday + number
    angle = 2 * np.pi * (day_of_year - company.YEARLY_PEAK_DAY) / _DAYS_OF_A_YEAR
    weekday *= 1 + company.YEARLY_SWING * np.cos(angle)
    return weekday


def _clock() -> Array:
    """Quantiles of the time of day, microseconds."""
    shares = np.concatenate(([0.0], np.cumsum(company.HOURLY_ACTIVITY)))
    points = (np.arange(QUANTILES) / QUANTILES) * shares[-1]
    quantiles: Array = np.interp(points, shares, np.arange(len(shares)) * HOUR).astype(np.int64)
    return quantiles


def _month_starts(start: date, days: int) -> Array:
    last = start + timedelta(days=days)
    count = (last.year - start.year) * 12 + last.month - start.month + _MONTHS_BEYOND
    months = np.datetime64(start, "M") + np.arange(count + 1)
    return months.astype("datetime64[D]").astype(np.int64)
