"""Aggregates SQLite lacks, each also over a window; NULLs are passed over, and nothing of nothing is NULL."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from decimal import Decimal
from fractions import Fraction

from sql.sqlite_functions_decimals import decimal_fit
from sql.sqlite_functions_numbers import present

# Sums of decimals have DuckDB's widest type.
_SUM_DIGITS = 38


class _Collected:
    """Values of a group or frame, in no order."""

    def __init__(self) -> None:
        self.values: dict[float, int] = {}
        self.count = 0

    def step(self, value: float | None) -> None:
        self._change(value, 1)

    def inverse(self, value: float | None) -> None:
        self._change(value, -1)

    def _change(self, value: float | None, by: int) -> None:
        if value is None:
            return
        left = self.values.get(value, 0) + by
        self.count += by
        if left:
            self.values[value] = left
        else:
            del self.values[value]


class DecimalSum:
    """Exact sum of decimals, as text."""

    def __init__(self) -> None:
        self.units = 0
        self.scale = 0
        self.count = 0

    def step(self, value: str | None) -> None:
        self._change(value, 1)

    def inverse(self, value: str | None) -> None:
        self._change(value, -1)

    def _change(self, value: str | None, by: int) -> None:
        if value is None:
            return
        whole, _, fraction = value.partition(".")
        # All values of a column have one scale; the sum is kept in its smallest unit.
        if len(fraction) > self.scale:
            self.units *= 10 ** (len(fraction) - self.scale)
            self.scale = len(fraction)
        self.units += by * int(whole + fraction) * 10 ** (self.scale - len(fraction))
        self.count += by

    def value(self) -> str | None:
        if self.count == 0:
            return None
        return decimal_fit(str(Decimal(self.units).scaleb(-self.scale)), _SUM_DIGITS, self.scale)

    def finalize(self) -> str | None:
        return self.value()


class DecimalAvg(DecimalSum):
    """Exact sum of decimals over their count, as a double."""

    def value(self) -> float | None:  # type: ignore[override]
        return None if self.count == 0 else float(Fraction(self.units, self.count * 10**self.scale))

    def finalize(self) -> float | None:  # type: ignore[override]
        return self.value()


class DoubleSum(_Collected):
    """Sum of doubles, rounded once."""

    def value(self) -> float | None:
        if self.count == 0:
            return None
        infinite = [value for value in self.values if math.isinf(value)]
        if infinite:
            return present(sum(infinite))
        try:
            return math.fsum(value * times for value, times in self.values.items())
        except OverflowError:
            return present(sum(value * times for value, times in self.values.items()))

    def finalize(self) -> float | None:
        return self.value()


class DoubleAvg(DoubleSum):
    """Sum of doubles or whole numbers over their count."""

    def value(self) -> float | None:
        total = super().value()
        return None if total is None else total / self.count


class _Spread(_Collected):
    """Mean of the squared distances from the mean, with what is taken off the count."""

    freedom = 0

    def variance(self) -> float | None:
        if self.count <= self.freedom:
            return None
        mean = math.fsum(value * times for value, times in self.values.items()) / self.count
        squares = math.fsum((value - mean) ** 2 * times for value, times in self.values.items())
        return present(squares / (self.count - self.freedom))

    def value(self) -> float | None:
        return self.variance()

    def finalize(self) -> float | None:
        return self.value()


class VarPop(_Spread):
    """Variance of a population."""


class VarSamp(_Spread):
    """Variance of a sample; NULL of one value."""

    freedom = 1


class StddevPop(VarPop):
    """Standard deviation of a population."""

    def value(self) -> float | None:
        variance = self.variance()
        return None if variance is None else math.sqrt(variance)


class StddevSamp(VarSamp):
    """Standard deviation of a sample; NULL of one value."""

    def value(self) -> float | None:
        variance = self.variance()
        return None if variance is None else math.sqrt(variance)


class QuantileCont:
    """Quantile, interpolated between its two neighbours."""

    def __init__(self) -> None:
        self.sorted: list[float] = []
        self.share = 0.0

    def step(self, value: float | None, share: float) -> None:
        self.share = share
        if value is not None:
            insort(self.sorted, value)

    def inverse(self, value: float | None, _share: float) -> None:
        if value is not None:
            del self.sorted[bisect_left(self.sorted, value)]

    def value(self) -> float | None:
        if not self.sorted:
            return None
        place = (len(self.sorted) - 1) * self.share
        low, high = self.sorted[math.floor(place)], self.sorted[math.ceil(place)]
        if low == high:
            return float(low)
        return present(low + (high - low) * (place - math.floor(place)))

    def finalize(self) -> float | None:
        return self.value()
