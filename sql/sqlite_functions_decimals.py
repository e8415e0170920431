"""Decimals as text, exact to their last digit."""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import Any

from sql.sqlite_functions_numbers import chosen, half_away, int_fit

# Twice DuckDB's widest decimal, so that a product is exact before it is cut.
_DIGITS = 80
_CONTEXT = Context(prec=_DIGITS, rounding=ROUND_HALF_UP, Emin=MIN_EMIN, Emax=MAX_EMAX)
# Money repeats: reading its text again costs more than looking it up.
_CACHED_TEXTS = 65536


@lru_cache(_CACHED_TEXTS)
def _read(text: str | int) -> Decimal:
    return Decimal(text)


def _plain(value: Decimal) -> str:
    # Zero has no sign: equal decimals must have equal text.
    return format(value if value else abs(value), "f")


def _text(value: Decimal, precision: int, scale: int) -> str:
    if value and value.adjusted() >= precision - scale:
        raise ArithmeticError(f"{value} does not fit DECIMAL({precision},{scale})")
    return _plain(value)


def decimal_add(a: str | int, b: str | int) -> str:
    """Exact sum of two decimals."""
    return _plain(_CONTEXT.add(_read(a), _read(b)))


def decimal_sub(a: str | int, b: str | int) -> str:
    """Exact difference of two decimals."""
    return _plain(_CONTEXT.subtract(_read(a), _read(b)))


def decimal_mul(a: str | int, b: str | int) -> str:
    """Exact product of two decimals."""
    return _plain(_CONTEXT.multiply(_read(a), _read(b)))


def decimal_mod(a: str | int, b: str | int) -> str:
    """Remainder with the sign of `a`.

    Raises:
        ZeroDivisionError: `b` is 0.
    """
    if not _read(b):
        raise ZeroDivisionError("decimal modulo by zero")
    return _plain(_CONTEXT.remainder(_read(a), _read(b)))


def decimal_abs(a: str) -> str:
    """The decimal without its sign."""
    return a.removeprefix("-")


def decimal_floor(a: str) -> str:
    """The largest whole decimal not above."""
    return _plain(_read(a).to_integral_value(ROUND_FLOOR, _CONTEXT))


def decimal_ceil(a: str) -> str:
    """The smallest whole decimal not below."""
    return _plain(_read(a).to_integral_value(ROUND_CEILING, _CONTEXT))


def decimal_fit(a: str | int, precision: int, scale: int) -> str:
    """The number with `scale` digits behind the point, halves away from zero.

    Raises:
        ArithmeticError: It has more than `precision` digits then.
    """
    return _text(_read(a).quantize(_step(scale), ROUND_HALF_UP, _CONTEXT), precision, scale)


@lru_cache(_DIGITS)
def _step(scale: int) -> Decimal:
    return Decimal(1).scaleb(-scale)


def decimal_to_double(a: str) -> float:
    """The double nearest to a decimal."""
    return float(a)


def decimal_to_int(a: str, bits: int) -> int:
    """The nearest whole number, halves away from zero; an error when it does not fit."""
    return int_fit(int(_read(a).to_integral_value(ROUND_HALF_UP, _CONTEXT)), bits)


def compare_decimals(a: str, b: str) -> int:
    """Order of two decimals by value: -1, 0 or 1."""
    x, y = _read(a), _read(b)
    return (x > y) - (x < y)


def decimal_greatest(*values: Any) -> Any:
    """The greatest decimal of those that are not NULL."""
    return chosen(lambda present_ones: max(present_ones, key=_read), values)


def decimal_least(*values: Any) -> Any:
    """The least decimal of those that are not NULL."""
    return chosen(lambda present_ones: min(present_ones, key=_read), values)


def double_to_decimal(a: float, precision: int, scale: int) -> str:
    """DuckDB's CAST of a double: times a power of ten as a double, halves away from zero."""
    scaled = float(a) * 10.0**scale
    size = half_away(abs(scaled))
    return _text(Decimal(-size if scaled < 0 else size).scaleb(-scale, _CONTEXT), precision, scale)
