"""QUALIFY, where a dialect has none."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.types import BOOLEAN, put
from sql.transforms.wrapping import column, order_by_outputs, order_wrapped, outputs_of, wrap

_ALIAS = "_qualified"
_CONDITION = "_is_kept"


def filter_windows_outside(node: exp.Expr) -> exp.Expr:
    """Turns QUALIFY into the WHERE of a SELECT around; ORDER BY, LIMIT and DISTINCT stay outermost.

    For SQLite and Spark, which have no QUALIFY.
    """
    if not isinstance(node, exp.Select) or not node.args.get("qualify"):
        return node
    outputs = outputs_of(node)
    terms = order_by_outputs(node)
    condition = node.args["qualify"].this
    node.set("qualify", None)
    node.append("expressions", put(exp.alias_(condition, _CONDITION, copy=False), BOOLEAN))
    inner = node.copy()
    outer = wrap(inner, _ALIAS, outputs, node)
    outer.set("distinct", node.args.get("distinct"))
    inner.set("distinct", None)
    outer.set("where", exp.Where(this=column(_ALIAS, _CONDITION, BOOLEAN)))
    order_wrapped(outer, _ALIAS, terms)
    return outer
