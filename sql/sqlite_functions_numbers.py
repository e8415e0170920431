"""Whole numbers that do not overflow into floats, and doubles that do not vanish as NULL."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def int_fit(value: int, bits: int) -> int:
    """The whole number itself.

    Raises:
        ArithmeticError: It needs more than `bits` bits.
    """
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise ArithmeticError(f"{value} does not fit {bits} bits")
    return value


def int_add(a: int, b: int, bits: int) -> int:
    """Sum of two whole numbers; an error when it does not fit."""
    return int_fit(a + b, bits)


def int_sub(a: int, b: int, bits: int) -> int:
    """Difference of two whole numbers; an error when it does not fit."""
    return int_fit(a - b, bits)


def int_mul(a: int, b: int, bits: int) -> int:
    """Product of two whole numbers; an error when it does not fit."""
    return int_fit(a * b, bits)


def int_div(a: int, b: int, bits: int) -> int:
    """Quotient towards zero; Python's own goes down.

    Raises:
        ZeroDivisionError: `b` is 0.
    """
    return int_fit(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1), bits)


def int_mod(a: int, b: int, bits: int) -> int:
    """Remainder with the sign of `a`; Python's own has that of `b`.

    Raises:
        ZeroDivisionError: `b` is 0.
    """
    return int_fit(abs(a) % abs(b) * (1 if a >= 0 else -1), bits)


def int_neg(a: int, bits: int) -> int:
    """The number with the other sign; an error when it does not fit."""
    return int_fit(-a, bits)


def int_abs(a: int, bits: int) -> int:
    """The number without its sign; an error when it does not fit."""
    return int_fit(abs(a), bits)


def present(value: float) -> float:
    """The number itself.

    Raises:
        ValueError: It is NaN, which SQLite would store as NULL.
    """
    if math.isnan(value):
        raise ValueError("NaN, which SQLite cannot hold")
    return value


def double_add(a: float, b: float) -> float:
    """Sum of two doubles; an error when it is NaN."""
    return present(float(a) + b)


def double_sub(a: float, b: float) -> float:
    """Difference of two doubles; an error when it is NaN."""
    return present(float(a) - b)


def double_mul(a: float, b: float) -> float:
    """Product of two doubles; an error when it is NaN."""
    return present(float(a) * b)


def double_div(a: float, b: float) -> float:
    """Quotient; infinity when only `b` is 0, with the signs of both.

    Raises:
        ValueError: Both are 0, or both infinite.
    """
    if b == 0:
        return present(float(a) * math.copysign(math.inf, b))
    return present(float(a) / b)


def double_neg(a: float) -> float:
    """The double with the other sign, zero too."""
    return -float(a)


def double_pow(a: float, b: float) -> float:
    """A power; infinity when it is too large, an error when it is NaN."""
    try:
        return present(math.pow(a, b))
    except OverflowError:
        odd = b == math.floor(b) and math.fmod(b, 2) != 0
        return -math.inf if a < 0 and odd else math.inf
    except ValueError:
        if a == 0 and b < 0:
            return math.inf
        raise


def double_sqrt(a: float) -> float:
    """Square root; an error of a negative number."""
    return math.sqrt(a)


def double_exp(a: float) -> float:
    """Power of e; infinity when it is too large."""
    try:
        return math.exp(a)
    except OverflowError:
        return math.inf


def double_ln(a: float) -> float:
    """Natural logarithm; minus infinity of 0, an error of a negative number."""
    return -math.inf if a == 0 else math.log(a)


def double_round(a: float, places: int) -> float:
    """DuckDB's ROUND: times a power of ten, halves away from zero, divided again."""
    power = 10.0**places
    scaled = a * power
    if math.isinf(scaled):
        return a
    return math.copysign(float(half_away(abs(scaled))), a) / power


def half_away(size: float) -> int:
    """The nearest whole number to one that is not negative, a half up."""
    whole = math.floor(size)
    return whole + (size - whole >= 0.5)  # noqa: PLR2004 - a half


def double_floor(a: float) -> float:
    """The largest whole number not above."""
    return a if math.isinf(a) else float(math.floor(a))


def double_ceil(a: float) -> float:
    """The smallest whole number not below."""
    return a if math.isinf(a) else float(math.ceil(a))


def double_to_int(a: float, bits: int) -> int:
    """The nearest whole number, halves to even; an error when it does not fit."""
    return int_fit(round(a), bits)


def value_greatest(*values: Any) -> Any:
    """The greatest of those that are not NULL."""
    return chosen(max, values)


def value_least(*values: Any) -> Any:
    """The least of those that are not NULL."""
    return chosen(min, values)


def chosen(choose: Callable[[list[Any]], Any], values: tuple[Any, ...]) -> Any:
    """What `choose` takes of the values that are not NULL; NULL when all are."""
    there = [value for value in values if value is not None]
    return choose(there) if there else None
