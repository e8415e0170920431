"""Decimals: exact text in SQLite, and of DuckDB's own width and scale in Spark and Snowflake."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import BIGINT, BOOLEAN, DOUBLE, MAX_DECIMAL_DIGITS, SqlType, decimal, is_decimal, known, of, put
from sql.transforms.calls import bare, call, cast, number

_ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "decimal_add",
    exp.Sub: "decimal_sub",
    exp.Mul: "decimal_mul",
    exp.Mod: "decimal_mod",
}
_COMPARED = (exp.LT, exp.LTE, exp.GT, exp.GTE)
# Spark keeps so many digits behind the point when a result would be wider than 38.
_SPARK_KEPT_SCALE = 6
# Snowflake's products have no more digits behind the point, unless a factor has.
_SNOWFLAKE_PRODUCT_SCALE = 12


def write_decimals_as_text(node: exp.Expr) -> exp.Expr:
    """Writes a decimal literal as its text.

    For SQLite, which would read a float.
    """
    if isinstance(node, exp.Literal) and (kind := known(node)) and kind.is_decimal and not node.is_string:
        whole, _, fraction = node.this.partition(".")
        text = f"{whole.lstrip('0') or '0'}.{fraction}" if fraction else whole or "0"
        return put(exp.Literal.string(text), kind.bare)
    return node


def compute_decimals_as_text(node: exp.Expr) -> exp.Expr:
    """Writes + - * % and the sign of decimals as calls of the `decimal` extension, cut to DuckDB's width.

    For SQLite, which would compute floats.
    """
    if isinstance(node, exp.Neg) and of(node).is_decimal:
        return call("decimal_sub", "0", node.this, kind=of(node))
    name = _ARITHMETIC.get(type(node))
    if name is None or not of(node).is_decimal:
        return node
    result = call(name, node.this, node.expression, kind=of(node))
    kind = of(node)
    # A sum has its wider operand's digits behind the point by itself, and one more before it.
    exact = name in ("decimal_add", "decimal_sub") and kind.precision < MAX_DECIMAL_DIGITS
    return result if exact else call("decimal_fit", result, kind.precision, kind.scale, kind=kind)


def compare_decimals_by_value(node: exp.Expr) -> exp.Expr:
    """Writes `< <= > >= BETWEEN` of decimals by what DECIMAL_CMP says.

    For SQLite, where they are text. A collation would do, but SQLite compares whatever is made of such an expression by
    it too, a CASE or a text with it inside; equal decimals have equal text, so = and GROUP BY need nothing.
    """
    if isinstance(node, exp.Between) and of(node.this).is_decimal:
        low = put(exp.GTE(this=_compared(node.this, node.args["low"]), expression=number(0)), BOOLEAN)
        high = put(exp.LTE(this=_compared(node.this.copy(), node.args["high"]), expression=number(0)), BOOLEAN)
        return put(exp.Paren(this=put(exp.And(this=low, expression=high), BOOLEAN)), BOOLEAN)
    if isinstance(node, _COMPARED) and of(node.this).is_decimal:
        return put(type(node)(this=_compared(node.this, node.expression), expression=number(0)), BOOLEAN)
    return node


def _compared(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return call("decimal_cmp", left, right, kind=BIGINT)


def order_decimals_by_value(node: exp.Expr) -> exp.Expr:
    """Gives ORDER BY, MIN and MAX of decimals the collation `decimal`.

    For SQLite, where they are text.
    """
    if isinstance(node, (exp.Ordered, exp.Min, exp.Max)) and of(node.this).is_decimal:
        inner = node.this
        if isinstance(inner, exp.Distinct):
            inner = inner.expressions[0]
        if not isinstance(inner, exp.Collate):
            node.set("this", put(exp.Collate(this=_whole(inner), expression=exp.Var(this="decimal")), of(inner)))
    return node


def _whole(node: exp.Expr) -> exp.Expr:
    return exp.Paren(this=node) if isinstance(node, exp.Case) else node


def aggregate_decimals_as_text(node: exp.Expr) -> exp.Expr:
    """Writes SUM and AVG of decimals as calls that add exactly.

    For SQLite, whose own would add floats.
    """
    if isinstance(node, exp.Sum) and of(node).is_decimal:
        kind = of(node)
        return call("decimal_sum", node.this, kind=kind)
    if isinstance(node, exp.Avg) and of(node.this).is_decimal:
        return call("decimal_avg", node.this, kind=DOUBLE)
    return node


def call_decimal_functions(node: exp.Expr) -> exp.Expr:
    """Writes ABS, ROUND, FLOOR, CEIL, GREATEST and LEAST of decimals as calls on their text.

    For SQLite.
    """
    kind = of(node) if isinstance(node, exp.Abs | exp.Round | exp.Floor | exp.Ceil | exp.Greatest | exp.Least) else None
    if kind is None or not kind.is_decimal:
        return node
    if isinstance(node, exp.Greatest | exp.Least):
        return call(f"decimal_{node.key}", node.this, *node.expressions, kind=kind)
    if isinstance(node, exp.Round):
        return call("decimal_fit", node.this, kind.precision, kind.scale, kind=kind)
    return call(f"decimal_{node.key}", node.this, kind=kind)


def average_as_doubles(node: exp.Expr) -> exp.Expr:
    """Averages integers and decimals as an exact sum over a count.

    For Spark and Snowflake, whose AVG of decimals is a decimal of few digits.
    """
    if not isinstance(node, exp.Avg) or not (kind := of(node.this)).is_number or kind == DOUBLE:
        return node
    if isinstance(node.parent, exp.Window | exp.Filter):
        node.set("this", _as_double(node.this))
        return node
    wide = decimal(MAX_DECIMAL_DIGITS, kind.scale) if kind.is_decimal else kind
    total = put(exp.Sum(this=node.this), wide)
    count = put(exp.Count(this=node.this.copy(), big_int=True), SqlType("BIGINT"))
    return put(exp.Div(this=cast(total, DOUBLE), expression=call("NULLIF", count, 0, kind=DOUBLE)), DOUBLE)


def _as_double(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Distinct):
        node.set("expressions", [cast(node.expressions[0], DOUBLE)])
        return put(node, DOUBLE)
    return cast(node, DOUBLE)


def shorten_factors(node: exp.Expr) -> exp.Expr:
    """Leaves the closing zeros off a decimal that is multiplied.

    For Spark and Snowflake, which lose digits of long products; the value is the same.
    """
    if not isinstance(node, exp.Mul) or not is_decimal(node):
        return node
    for side in (node.this, node.expression):
        literal = bare(side)
        if isinstance(literal, exp.Literal) and of(literal).is_decimal and "." in literal.this:
            text = literal.this.rstrip("0").rstrip(".") or "0"
            fraction = text.partition(".")[2]
            # Read as an integer of that many digits, were there no fraction.
            kind = SqlType("DECIMAL", max(len(text.replace(".", "").lstrip("0")), len(fraction), 1), len(fraction))
            side.replace(put(exp.Literal.number(text), kind))
    return node


def pin_decimals_for_spark(node: exp.Expr) -> exp.Expr:
    """Casts the results of decimal arithmetic to DuckDB's width and scale.

    For Spark, whose own are wider, and whose digits behind the point shrink when 38 do not suffice.
    """
    if not isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Mod | exp.Sum | exp.Round | exp.Floor | exp.Ceil):
        return node
    if not is_decimal(node):
        return node
    if isinstance(node, exp.Mul):
        _refuse_lost_digits(node)
    return _pinned(node)


def _refuse_lost_digits(node: exp.Mul) -> None:
    left, right = of(node.this), of(node.expression)
    scale, precision = left.scale + right.scale, left.precision + right.precision + 1
    kept = scale
    if precision > MAX_DECIMAL_DIGITS:
        kept = max(MAX_DECIMAL_DIGITS - (precision - scale), min(scale, _SPARK_KEPT_SCALE))
    if kept < scale:
        raise NotCarriedError(
            node, f"{left} * {right}, of whose {scale} decimals Spark keeps {kept}", "cast to fewer digits"
        )


def pin_decimals_for_snowflake(node: exp.Expr) -> exp.Expr:
    """Casts the results of decimal arithmetic to DuckDB's width and scale.

    For Snowflake, whose own are wider, and whose products keep 12 digits behind the point.
    """
    if not isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Mod | exp.Sum | exp.Round | exp.Floor | exp.Ceil):
        return node
    if not is_decimal(node):
        return node
    if isinstance(node, exp.Mul):
        left, right = of(node.this), of(node.expression)
        kept = max(left.scale, right.scale, _SNOWFLAKE_PRODUCT_SCALE)
        if left.scale + right.scale > kept:
            raise NotCarriedError(
                node, f"{left} * {right}, of whose decimals Snowflake keeps {kept}", "cast to fewer digits"
            )
    return _pinned(node)


def _pinned(node: exp.Expr) -> exp.Expr:
    # A cast around an aggregate belongs around its window or filter.
    if isinstance(node.parent, exp.Window | exp.Filter):
        return node
    return cast(node, of(node))


def pin_terms_of_sums(node: exp.Expr) -> exp.Expr:
    """Casts what SUM adds, whole numbers and decimals, to the type it has.

    For Snowflake: to fakesnow anything but a cast might be text, which it adds as doubles.
    """
    if isinstance(node, exp.Sum) and not isinstance(bare(node.this), exp.Cast):
        kind = of(node.this)
        if kind.is_integer or kind.is_decimal:
            node.set("this", cast(bare(node.this), kind))
    return node


def pin_windowed_sums(node: exp.Expr) -> exp.Expr:
    """Casts a windowed or filtered decimal sum to DuckDB's width.

    For Spark and Snowflake, as the sums without a window.
    """
    inner = node.this if isinstance(node, exp.Window | exp.Filter) else None
    if inner is not None and of(node).is_decimal and not isinstance(node.parent, exp.Window):
        return cast(node, of(node))
    return node
