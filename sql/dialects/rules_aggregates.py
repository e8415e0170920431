"""Types of aggregates and of window functions."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.coercion import coerce, require
from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import BOOLEAN, CARRIED, DOUBLE, HUGEINT, INTEGERS, NULL, NUMBERS, SqlType, common, decimal, of


def _unwrap(node: exp.Expr) -> exp.Expr:
    """The argument of an aggregate, past a DISTINCT."""
    inner = node.this
    if isinstance(inner, exp.Distinct):
        if len(inner.expressions) != 1 or inner.args.get("on"):
            raise NotCarriedError(node, "DISTINCT over several columns in an aggregate", "a GROUP BY before it")
        return inner.expressions[0]  # type: ignore[no-any-return]
    return inner  # type: ignore[no-any-return]


def summed(node: exp.Sum) -> SqlType:
    kind = require(_unwrap(node), *NUMBERS)
    if kind.is_decimal:
        return decimal(38, kind.scale)
    return HUGEINT if kind.is_integer else DOUBLE


def averaged(node: exp.Avg) -> SqlType:
    require(_unwrap(node), *NUMBERS)
    return DOUBLE


def extreme(node: exp.Expr) -> SqlType:
    if node.expressions:
        raise NotCarriedError(node, f"{node.key.upper()} of the first n", "row_number() in a subquery")
    return require(_unwrap(node), *CARRIED).bare


def spread(node: exp.Expr) -> SqlType:
    require(_unwrap(node), *NUMBERS)
    coerce(_unwrap(node), DOUBLE)
    return DOUBLE


def median(node: exp.Expr) -> SqlType:
    kind = require(_unwrap(node), *NUMBERS)
    if kind.is_decimal:
        raise NotCarriedError(
            node, f"{node.key.upper()} of a DECIMAL, which DuckDB cuts to its digits", "cast to double first"
        )
    coerce(_unwrap(node), DOUBLE)
    return DOUBLE


def quantile(node: exp.PercentileCont) -> SqlType:
    if node.expression is None or isinstance(node.parent, exp.WithinGroup):
        require(node.this, "DECIMAL", *INTEGERS)
        return NULL
    require(node.expression, "DECIMAL", *INTEGERS)
    return median(node)


def within_group(node: exp.WithinGroup) -> SqlType:
    ordered = node.expression.expressions
    if not isinstance(node.this, exp.PercentileCont) or len(ordered) != 1:
        raise NotCarriedError(node, f"{node.this.key.upper()} WITHIN GROUP", "quantile_cont(x, 0.5)")
    return median(ordered[0])


def conditional(node: exp.Expr) -> SqlType:
    require(_unwrap(node), "BOOLEAN")
    return HUGEINT if isinstance(node, exp.CountIf) else BOOLEAN


def neighbour(node: exp.Lead | exp.Lag) -> SqlType:
    kind = of(node.this)
    default = node.args.get("default")
    if default is not None:
        shared = common(kind, of(default))
        if shared != kind.bare:
            raise NotCarriedError(node, f"{node.key.upper()} with a default of another type", f"cast it to {kind}")
        coerce(default, kind.bare)
    return kind.bare
