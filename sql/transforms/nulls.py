"""NULLs: passed over by GREATEST and LEAST, sorted where DuckDB sorts them, and compared as values when asked."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.types import BOOLEAN, of, put
from sql.transforms.calls import call


def greatest_of_those_present(node: exp.Expr) -> exp.Expr:
    """Writes GREATEST and LEAST as calls that pass over NULLs.

    For SQLite, whose MAX(a, b) is NULL when one is.
    """
    if isinstance(node, exp.Greatest | exp.Least) and not of(node).is_decimal:
        return call(f"value_{node.key}", node.this, *node.expressions, kind=of(node))
    return node


def coalesce_before_greatest(node: exp.Expr) -> exp.Expr:
    """Puts another operand in the place of each NULL one.

    For Snowflake, whose GREATEST is NULL when one operand is.
    """
    if not isinstance(node, exp.Greatest | exp.Least):
        return node
    operands = [node.this, *node.expressions]
    if len(operands) == 1:
        return operands[0]  # type: ignore[no-any-return]
    turns = [(*operands[start:], *operands[:start]) for start in range(len(operands))]
    turned = [call("COALESCE", *(operand.copy() for operand in turn), kind=of(node)) for turn in turns]
    return call(node.key.upper(), *turned, kind=of(node))


def test_truth_by_coalesce(node: exp.Expr) -> exp.Expr:
    """Writes IS TRUE and IS FALSE as COALESCE.

    For all targets: one form that all of them read.
    """
    if not isinstance(node, exp.Is) or not isinstance(node.expression, exp.Boolean):
        return node
    value = node.this if node.expression.this else put(exp.Not(this=exp.Paren(this=node.this)), BOOLEAN)
    return call("COALESCE", value, put(exp.Boolean(this=False), BOOLEAN), kind=BOOLEAN)
