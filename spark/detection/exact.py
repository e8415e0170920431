"""Exact sums of amounts: whole cents, and squares of cents in three whole-number parts.

A 64-bit number holds no sum of squares of large amounts, and a double none exactly. Cents are split into the lowest 16
bits and the rest, x = high · 2¹⁶ + low, so that x² = high² · 2³² + 2 · high · low · 2¹⁶ + low²: three sums of plain
64-bit numbers, put together as a decimal once per group.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from pyspark.sql import Column
from pyspark.sql import functions as f

WHOLE = "decimal(38,0)"
_LOW_BITS = 16
_LOW_VALUES = 1 << _LOW_BITS
MICROS_PER_SECOND = 1_000_000
MICROS_PER_DAY = 86_400 * MICROS_PER_SECOND


def cents_of(amount: Column) -> Column:
    """Whole cents of an amount that is zero or more.

    By way of a double, which holds cents below 2⁵¹ exactly after rounding; Spark's own decimals take far longer.
    """
    return (amount.cast("double") * 100 + 0.5).cast("bigint")


def day_of(micros: Column) -> Column:
    """Number of the UTC day since 1970 of a moment in microseconds."""
    return ((micros - f.pmod(micros, f.lit(MICROS_PER_DAY))) / MICROS_PER_DAY).cast("int")


def date_of(day: Column) -> Column:
    """The date of a day's number."""
    return f.date_add(f.lit("1970-01-01").cast("date"), day)


@dataclass(frozen=True)
class Sums:
    """Names of the columns that describe a group of amounts.

    Args:
        count: Rows.
        cents: Sum of cents.
        high, cross, low: Sums of high², high · low and low², together the sum of squares.
        median, mad: In cents; only where amounts are compared by median.
    """

    count: str
    cents: str
    high: str
    cross: str
    low: str
    median: str
    mad: str

    @classmethod
    def named(cls, group: str) -> Sums:
        return cls(*(f"{group}_{field.name}" for field in fields(cls)))

    def over_rows(self, cents: Column) -> list[Column]:
        """The sums as aggregates over rows."""
        high, low = f.shiftright(cents, _LOW_BITS), cents.bitwiseAND(f.lit(_LOW_VALUES - 1))
        return [
            f.count(f.lit(1)).alias(self.count),
            f.sum(cents).alias(self.cents),
            f.sum(high * high).alias(self.high),
            f.sum(high * low).alias(self.cross),
            f.sum(low * low).alias(self.low),
        ]

    def over_parts(self) -> list[Column]:
        """The sums as aggregates over groups that were summed before."""
        return [f.sum(name).alias(name) for name in (self.count, self.cents, self.high, self.cross, self.low)]

    def squares(self) -> Column:
        """Sum of squares of cents."""
        high, cross, low = (f.col(name).cast("decimal(20,0)") for name in (self.high, self.cross, self.low))
        return (high * _whole(_LOW_VALUES**2) + cross * _whole(2 * _LOW_VALUES) + low).cast(WHOLE)


def _whole(value: int) -> Column:
    return f.lit(value).cast("decimal(17,0)")


def money_of(cents: Column, kind: str = "decimal(38,2)") -> Column:
    """Whole cents as money."""
    return (cents.cast("decimal(20,0)") * f.lit("0.01").cast("decimal(3,2)")).cast(kind)
