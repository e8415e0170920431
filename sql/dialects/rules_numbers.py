"""Types of arithmetic, and the decimals DuckDB makes of two."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from sql.dialects.coercion import coerce, require
from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import (
    BIGINT,
    DATE,
    DOUBLE,
    INTEGERS,
    INTERVAL,
    NULL,
    NUMBERS,
    TIMESTAMP,
    SqlType,
    as_decimal,
    common,
    decimal,
    of,
    of_number,
    of_product,
    of_remainder,
    of_sum,
)


def negated(node: exp.Neg) -> SqlType:
    kind = require(node.this, *NUMBERS)
    if isinstance(kind.literal, int):
        return of_number(str(-kind.literal)) if kind.literal else kind
    return kind.bare


def sum_of_two(node: exp.Add | exp.Sub) -> SqlType:
    left, right = of(node.this), of(node.expression)
    if left.is_moment or right.is_moment:
        return _moved(node, left, right)
    require(node.this, *NUMBERS)
    require(node.expression, *NUMBERS)
    return _arithmetic(node, of_sum)


def _moved(node: exp.Add | exp.Sub, left: SqlType, right: SqlType) -> SqlType:
    if isinstance(node, exp.Add) and right.is_moment and not left.is_moment:
        node.args["this"], node.args["expression"] = node.expression, node.this
        left, right = right, left
    if left.name == right.name == "DATE" and isinstance(node, exp.Sub):
        return BIGINT
    if left.name == "DATE" and right.is_integer:
        return DATE
    if right == INTERVAL and left.is_moment:
        if left.name == "DATE":
            coerce(node.this, TIMESTAMP)
            return TIMESTAMP
        return left.bare
    raise NotCarriedError(node, f"{node.key} of {left} and {right}", "date_diff('microsecond', ..., ...)")


def _arithmetic(node: exp.Binary, of_decimals: Callable[[SqlType, SqlType], SqlType | None]) -> SqlType:
    left, right = of(node.this), of(node.expression)
    shared = common(left, right)
    if shared is None or shared == NULL:
        raise NotCarriedError(node, f"{node.key} of {left} and {right}", "cast both to numbers")
    if not shared.is_decimal:
        coerce(node.this, shared)
        coerce(node.expression, shared)
        return shared
    result = of_decimals(left, right)
    if result is None:
        raise NotCarriedError(node, f"{node.key} of {left} and {right}", "cast one to fewer digits")
    coerce(node.this, as_decimal(left))
    coerce(node.expression, as_decimal(right))
    return result


def product(node: exp.Mul) -> SqlType:
    require(node.this, *NUMBERS)
    require(node.expression, *NUMBERS)
    return _arithmetic(node, of_product)


def quotient(node: exp.Div) -> SqlType:
    for side in (node.this, node.expression):
        require(side, *NUMBERS)
        coerce(side, DOUBLE)
    return DOUBLE


def whole_quotient(node: exp.IntDiv | exp.Mod) -> SqlType:
    names = INTEGERS if isinstance(node, exp.IntDiv) else ("DECIMAL", *INTEGERS)
    require(node.this, *names)
    require(node.expression, *names)
    return _arithmetic(node, of_remainder)


def same_number(node: exp.Expr) -> SqlType:
    return require(node.this, *NUMBERS).bare


def rounded(node: exp.Round) -> SqlType:
    kind = require(node.this, *NUMBERS)
    digits = node.args.get("decimals")
    places = 0 if digits is None else of(digits).literal
    if not isinstance(places, int) or places < 0:
        raise NotCarriedError(node, "ROUND to other than a constant number of places", "round(x, 2)")
    if not kind.is_decimal:
        return kind.bare
    return kind.bare if places >= kind.scale else decimal(kind.precision, places)


def whole(node: exp.Floor | exp.Ceil) -> SqlType:
    kind = require(node.this, *NUMBERS)
    if kind.is_decimal:
        return decimal(kind.precision, 0)
    coerce(node.this, DOUBLE)
    return DOUBLE


def real(node: exp.Expr) -> SqlType:
    for part in list(node.iter_expressions()):
        require(part, *NUMBERS)
        coerce(part, DOUBLE)
    return DOUBLE
