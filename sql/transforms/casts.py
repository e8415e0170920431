"""CAST: every pair of types is either written so that the target rounds and fails as DuckDB does, or refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, localcontext

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import DOUBLE, SqlType, of, put
from sql.transforms.calls import bare, call, cast, number

# Longest decimal of DuckDB, and room for its carry.
_CONTEXT_DIGITS = 80
_SQLITE_BITS = 64
_Write = Callable[[exp.Expr, SqlType], exp.Expr]


def fold_casts_of_numbers(node: exp.Expr) -> exp.Expr:
    """Writes the CAST of a written number to DECIMAL or DOUBLE as the value itself.

    For SQLite, whose CAST knows no decimals; a call for a constant would hide what it says.
    """
    if not isinstance(node, exp.Cast) or not (of(node).is_decimal or of(node) == DOUBLE):
        return node
    text = _written(node.this)
    if text is None:
        return node
    kind = of(node)
    if kind == DOUBLE:
        size = exp.Literal.number(repr(abs(float(text))))
        return put(exp.Paren(this=exp.Neg(this=size)) if float(text) < 0 else size, kind)
    with localcontext() as context:
        context.prec = _CONTEXT_DIGITS
        value = Decimal(text).quantize(Decimal(1).scaleb(-kind.scale), ROUND_HALF_UP)
    if len(value.as_tuple().digits) > kind.precision:
        raise NotCarriedError(node, f"{text}, which does not fit {kind}", "a wider decimal")
    return put(exp.Literal.string(format(value if value else abs(value), "f")), kind)


def _written(node: exp.Expr) -> str | None:
    node = bare(node)
    if isinstance(node, exp.Neg):
        size = _written(node.this)
        return None if size is None else f"-{size}"
    return node.this if isinstance(node, exp.Literal) and not node.is_string else None


def cast_by_helpers(node: exp.Expr) -> exp.Expr:
    """Writes a CAST as a call that rounds and fails as DuckDB's does.

    For SQLite, whose own CAST cuts digits off, reads what it can of a text and answers 0 for the rest.
    """
    if not isinstance(node, exp.Cast):
        return node
    source, to, value = of(node.this), of(node), node.this
    if source.name == "NULL" or _holds(source, to):
        return value  # type: ignore[no-any-return]
    if to.is_moment and isinstance(value, exp.Literal) and source.name == "VARCHAR":
        return put(value.copy(), to)
    write = _WRITTEN.get((_family(source), _family(to)))
    if write is None:
        raise NotCarriedError(node, f"CAST of {source} to {to}", "a column of that type")
    return write(value, to)


def _family(kind: SqlType) -> str:
    return "INTEGER" if kind.is_integer else kind.name


def _holds(source: SqlType, to: SqlType) -> bool:
    """Whether every value of `source` lies in SQLite as it would as `to`."""
    if source.is_integer and to.is_integer:
        return source.bits <= to.bits
    if source.is_decimal and to.is_decimal:
        return source.scale == to.scale and source.precision <= to.precision
    return source.bare == to


def _unchanged(value: exp.Expr, to: SqlType) -> exp.Expr:
    return put(value, to)


def _natively(value: exp.Expr, to: SqlType) -> exp.Expr:
    return cast(value, to)


def _is_not_zero(value: exp.Expr, to: SqlType) -> exp.Expr:
    return put(exp.NEQ(this=value, expression=number(0)), to)


def _truth_as_text(value: exp.Expr, to: SqlType) -> exp.Expr:
    yes = exp.If(this=value, true=exp.Literal.string("true"))
    no = exp.If(this=exp.Not(this=exp.Paren(this=value.copy())), true=exp.Literal.string("false"))
    return put(exp.Case(ifs=[yes, no]), to)


def _calling(name: str) -> _Write:
    """A call that is told what the result must fit: bits of a whole number, digits of a decimal."""

    def write(value: exp.Expr, to: SqlType) -> exp.Expr:
        size: tuple[int, ...] = ()
        if to.is_integer:
            size = (min(to.bits, _SQLITE_BITS),)
        elif to.is_decimal:
            size = (to.precision, to.scale)
        return call(name, value, *size, kind=to)

    return write


def _ending(suffix: str) -> _Write:
    def write(value: exp.Expr, to: SqlType) -> exp.Expr:
        if isinstance(value, exp.Literal):
            return put(exp.Literal.string(value.this + suffix), to)
        return put(exp.Paren(this=exp.DPipe(this=value, expression=exp.Literal.string(suffix))), to)

    return write


def _beginning(form: str) -> _Write:
    def write(value: exp.Expr, to: SqlType) -> exp.Expr:
        return call("SUBSTR", value, 1, len(form), kind=to)

    return write


_WRITTEN: dict[tuple[str, str], _Write] = {
    ("INTEGER", "INTEGER"): _calling("int_fit"),
    ("DECIMAL", "INTEGER"): _calling("decimal_to_int"),
    ("DOUBLE", "INTEGER"): _calling("double_to_int"),
    ("VARCHAR", "INTEGER"): _calling("text_to_int"),
    ("BOOLEAN", "INTEGER"): _unchanged,
    ("INTEGER", "DECIMAL"): _calling("decimal_fit"),
    ("DECIMAL", "DECIMAL"): _calling("decimal_fit"),
    ("DOUBLE", "DECIMAL"): _calling("double_to_decimal"),
    ("VARCHAR", "DECIMAL"): _calling("text_to_decimal"),
    ("INTEGER", "DOUBLE"): _natively,
    ("DECIMAL", "DOUBLE"): _calling("decimal_to_double"),
    ("VARCHAR", "DOUBLE"): _calling("text_to_double"),
    ("BOOLEAN", "DOUBLE"): _natively,
    ("INTEGER", "BOOLEAN"): _is_not_zero,
    ("DOUBLE", "BOOLEAN"): _is_not_zero,
    ("VARCHAR", "BOOLEAN"): _calling("text_to_boolean"),
    ("INTEGER", "VARCHAR"): _natively,
    ("DECIMAL", "VARCHAR"): _unchanged,
    ("DATE", "VARCHAR"): _unchanged,
    ("BOOLEAN", "VARCHAR"): _truth_as_text,
    ("VARCHAR", "DATE"): _calling("text_to_date"),
    ("TIMESTAMP", "DATE"): _beginning("YYYY-MM-DD"),
    ("TIMESTAMPTZ", "DATE"): _beginning("YYYY-MM-DD"),
    ("DATE", "TIMESTAMP"): _ending(" 00:00:00.000000"),
    ("TIMESTAMPTZ", "TIMESTAMP"): _beginning("YYYY-MM-DD HH:MM:SS.ffffff"),
    ("DATE", "TIMESTAMPTZ"): _ending(" 00:00:00.000000+00:00"),
    ("TIMESTAMP", "TIMESTAMPTZ"): _ending("+00:00"),
}


def round_in_casts(node: exp.Expr) -> exp.Expr:
    """Rounds before a CAST to a whole number, halves away from zero of a decimal and to even of a double.

    For Spark, whose CAST cuts the fraction off; a double's CAST to DECIMAL goes by its digits there, and is refused.
    """
    if not isinstance(node, exp.Cast):
        return node
    source, to = of(node.this), of(node)
    if to.is_integer and source.is_decimal and source.scale:
        node.set("this", call("ROUND", node.this, 0, kind=source))
    elif to.is_integer and source == DOUBLE:
        node.set("this", call("RINT", node.this, kind=source))
    return node


def refuse_casts_that_differ(node: exp.Expr) -> exp.Expr:
    """Refuses the CASTs that Spark and Snowflake answer otherwise than DuckDB.

    For both: a double goes to DECIMAL by its digits, and doubles and moments have other texts.
    """
    if not isinstance(node, exp.Cast) or isinstance(node.this, exp.Literal):
        return node
    source, to = of(node.this), of(node)
    if source == DOUBLE and to.is_decimal:
        raise NotCarriedError(node, f"CAST of DOUBLE to {to}", "keep the value a decimal from the start")
    if (source == DOUBLE or source.is_timestamp) and to.name == "VARCHAR":
        raise NotCarriedError(node, f"CAST of {source} to VARCHAR", "leave the value as it is")
    if source.name == "VARCHAR" and to.name != "VARCHAR":
        raise NotCarriedError(node, f"CAST of a VARCHAR to {to}, whose spellings differ", "a column of that type")
    return node


def refuse_casts_of_doubles_to_integers(node: exp.Expr) -> exp.Expr:
    """Refuses the CAST of a DOUBLE to a whole number.

    For Snowflake, which rounds halves away from zero where DuckDB rounds them to even.
    """
    if isinstance(node, exp.Cast) and of(node).is_integer and of(node.this) == DOUBLE:
        raise NotCarriedError(node, f"CAST of DOUBLE to {of(node)}", "cast to decimal before dividing, or use //")
    return node


def narrow_hugeints(node: exp.Expr) -> exp.Expr:
    """Writes HUGEINT as BIGINT, which overflows loudly.

    For Spark, which has no wider integer.
    """
    if isinstance(node, exp.Cast) and of(node).name == "HUGEINT":
        return cast(node.this, SqlType("BIGINT"))
    return node
