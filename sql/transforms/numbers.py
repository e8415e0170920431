"""Whole and real numbers: overflow, division and powers answer or fail as DuckDB's do."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import BIGINT, DOUBLE, SqlType, known, of, put
from sql.transforms.calls import bare, call, cast, grouped, number

_INTEGERS: dict[type[exp.Expr], str] = {
    exp.Add: "int_add",
    exp.Sub: "int_sub",
    exp.Mul: "int_mul",
    exp.IntDiv: "int_div",
    exp.Mod: "int_mod",
}
_DOUBLES: dict[type[exp.Expr], str] = {
    exp.Add: "double_add",
    exp.Sub: "double_sub",
    exp.Mul: "double_mul",
    exp.Div: "double_div",
    exp.Neg: "double_neg",
}
_REAL: dict[type[exp.Expr], str] = {
    exp.Sqrt: "double_sqrt",
    exp.Exp: "double_exp",
    exp.Ln: "double_ln",
    exp.Pow: "double_pow",
}
_SQLITE_BITS = 64


def compute_integers_checked(node: exp.Expr) -> exp.Expr:
    """Writes + - * // % of whole numbers as calls that fail when the result does not fit.

    For SQLite, which goes on with a float, and answers NULL for a division by zero.
    """
    name = _INTEGERS.get(type(node))
    if isinstance(node, exp.Neg | exp.Abs) and of(node).is_integer:
        if isinstance(node, exp.Neg) and isinstance(bare(node.this), exp.Literal):
            return put(exp.Paren(this=node), of(node)) if isinstance(node.parent, exp.Binary) else node
        bits = min(of(node).bits, _SQLITE_BITS)
        return call("int_abs" if isinstance(node, exp.Abs) else "int_neg", node.this, bits, kind=of(node))
    if name is None or not of(node).is_integer or of(node.this).is_moment:
        return node
    return call(name, node.this, node.expression, min(of(node).bits, _SQLITE_BITS), kind=of(node))


def compute_doubles_checked(node: exp.Expr) -> exp.Expr:
    """Writes + - * / and the sign of doubles as calls that keep infinity and the negative zero, and fail on NaN.

    For SQLite, which turns NaN, and every division by zero, into NULL, and a negated zero into zero.
    """
    name = _DOUBLES.get(type(node)) or _REAL.get(type(node))
    if name is None or of(node) != DOUBLE:
        return node
    return call(name, *(side for side in (node.this, node.args.get("expression")) if side is not None), kind=DOUBLE)


def aggregate_doubles_checked(node: exp.Expr) -> exp.Expr:
    """Writes SUM and AVG of doubles, and AVG of whole numbers, as calls that fail on NaN and add exactly.

    For SQLite, which turns NaN into NULL.
    """
    if isinstance(node, exp.Sum) and of(node) == DOUBLE:
        return call("double_sum", node.this, kind=DOUBLE)
    if isinstance(node, exp.Avg) and of(node.this).is_number and not of(node.this).is_decimal:
        return call("double_avg", node.this, kind=DOUBLE)
    return node


def round_doubles_like_duckdb(node: exp.Expr) -> exp.Expr:
    """Writes ROUND, FLOOR and CEIL of doubles as calls; those of whole numbers are left out.

    For SQLite, which rounds by digits where DuckDB multiplies, and may lack the math functions.
    """
    if isinstance(node, exp.Round | exp.Floor | exp.Ceil) and of(node) == DOUBLE:
        if isinstance(node, exp.Round):
            return call("double_round", node.this, node.args.get("decimals") or 0, kind=DOUBLE)
        return call(f"double_{node.key}", node.this, kind=DOUBLE)
    if isinstance(node, exp.Round) and of(node).is_integer:
        return node.this  # type: ignore[no-any-return]
    return node


def refuse_rounded_doubles(node: exp.Expr) -> exp.Expr:
    """Refuses ROUND of a double; leaves it out of a whole number.

    For Spark and Snowflake, which round its digits where DuckDB multiplies, rounds and divides.
    """
    if isinstance(node, exp.Round) and of(node) == DOUBLE:
        raise NotCarriedError(node, "ROUND of a DOUBLE", "cast to decimal first")
    if isinstance(node, exp.Round) and of(node).is_integer:
        return node.this  # type: ignore[no-any-return]
    return node


def refuse_wide_numbers(node: exp.Expr) -> exp.Expr:
    """Refuses written numbers beyond 64 bits.

    For SQLite and Spark, whose integers end there.
    """
    kind = known(node) if isinstance(node, exp.Literal) else None
    value = kind.literal if kind is not None else None
    if isinstance(value, int) and value >= 1 << (_SQLITE_BITS - 1):
        raise NotCarriedError(node, f"{value}, beyond 64 bits", "a decimal")
    return node


def divide_by_zero_like_duckdb(node: exp.Expr) -> exp.Expr:
    """Answers infinity or NaN where a divisor is zero.

    For Spark and Snowflake, where x / 0 is an error. A divisor that cannot be zero is divided by as it is.
    """
    if not isinstance(node, exp.Div) or cannot_be_zero(node.expression):
        return node
    divisor, dividend = grouped(bare(node.expression)), grouped(bare(node.this))
    zero = put(exp.EQ(this=divisor.copy(), expression=number(0)), SqlType("BOOLEAN"))
    infinite = put(exp.Mul(this=dividend.copy(), expression=_infinity(divisor)), DOUBLE)
    return put(exp.Case(ifs=[exp.If(this=zero, true=infinite)], default=node), DOUBLE)


def _infinity(divisor: exp.Expr) -> exp.Expr:
    infinity = cast(exp.Literal.string("Infinity"), DOUBLE)
    if isinstance(bare(divisor), exp.Cast) and of(bare(divisor).this) != DOUBLE:
        return infinity
    # Only a double has a negative zero, and only its text tells it from the positive one.
    text = put(exp.Cast(this=divisor.copy(), to=exp.DataType.build("text")), SqlType("VARCHAR"))
    negative = exp.Like(this=text, expression=exp.Literal.string("-%"))
    minus = exp.If(this=negative, true=put(exp.Neg(this=infinity.copy()), DOUBLE))
    return put(exp.Case(ifs=[minus], default=infinity), DOUBLE)


def cannot_be_zero(node: exp.Expr) -> bool:
    """Whether a divisor is a written number, or NULL where it would be zero."""
    node = bare(node)
    if isinstance(node, exp.Literal):
        return not node.is_string and float(node.this) != 0
    if isinstance(node, exp.Neg) or (isinstance(node, exp.Cast) and of(node) == DOUBLE):
        return cannot_be_zero(node.this)
    if isinstance(node, exp.Nullif):
        against = bare(node.expression)
        against = bare(against.this) if isinstance(against, exp.Cast) else against
        return isinstance(against, exp.Literal) and not against.is_string and float(against.this) == 0
    return False


def divide_whole_by_remainder(node: exp.Expr) -> exp.Expr:
    """Writes a // b as the exact quotient of a less its remainder.

    For Snowflake, whose / rounds to six digits before anything could cut them off.
    """
    if not isinstance(node, exp.IntDiv):
        return node
    left, right = grouped(bare(node.this)), grouped(bare(node.expression))
    less = put(exp.Sub(this=left, expression=call("MOD", left.copy(), right.copy(), kind=BIGINT)), BIGINT)
    whole = put(exp.Paren(this=less), BIGINT)
    return cast(put(exp.Div(this=whole, expression=right), BIGINT), of(node))
