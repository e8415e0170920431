"""Aggregates: conditions, spreads and quantiles."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import BIGINT, DOUBLE, of, put
from sql.transforms.calls import bare, call

_SPREADS: dict[type[exp.Expr], str] = {
    exp.Stddev: "stddev_samp",
    exp.StddevSamp: "stddev_samp",
    exp.StddevPop: "stddev_pop",
    exp.Variance: "var_samp",
    exp.VariancePop: "var_pop",
}


def count_what_is_true(node: exp.Expr) -> exp.Expr:
    """Writes COUNT_IF as SUM of a CASE.

    For all targets: DuckDB's answers NULL where nothing is true or false, as a sum does, theirs 0.
    """
    if not isinstance(node, exp.CountIf):
        return node
    inner = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
    if inner is not node.this:
        raise NotCarriedError(node, "COUNT_IF of DISTINCT values", "bool_or")
    true = exp.If(this=inner, true=put(exp.Literal.number(1), BIGINT))
    false = exp.If(this=put(exp.Not(this=exp.Paren(this=inner.copy())), of(inner)), true=exp.Literal.number(0))
    return put(exp.Sum(this=put(exp.Case(ifs=[true, false]), BIGINT)), of(node))


def filter_by_case(node: exp.Expr) -> exp.Expr:
    """Writes FILTER as a CASE inside the aggregate.

    For Snowflake, which has no FILTER.
    """
    if not isinstance(node, exp.Filter):
        return node
    aggregate, condition = node.this, node.expression.this
    if isinstance(aggregate, exp.Anonymous):
        aggregate.set("expressions", [_where(condition, aggregate.expressions[0]), *aggregate.expressions[1:]])
    elif isinstance(aggregate.this, exp.Star):
        aggregate.set("this", _where(condition, put(exp.Literal.number(1), BIGINT)))
    else:
        aggregate.set("this", _where(condition, aggregate.this))
    return aggregate  # type: ignore[no-any-return]


def _where(condition: exp.Expr, value: exp.Expr) -> exp.Expr:
    """`value` where the condition holds, else NULL, which aggregates pass over."""
    if isinstance(value, exp.Distinct):
        value.set("expressions", [_where(condition, value.expressions[0])])
        return value
    return put(exp.Case(ifs=[exp.If(this=condition, true=value)]), of(value))


def filter_windows_by_case(node: exp.Expr) -> exp.Expr:
    """Writes FILTER over a window as a CASE inside the aggregate.

    For SQLite: Python's window functions crash in a frame whose rows are all filtered out.
    """
    return filter_by_case(node) if isinstance(node.parent, exp.Window) else node


def refuse_frames_without_their_row(node: exp.Expr) -> exp.Expr:
    """Refuses frames that end before their row or start after it.

    For SQLite: Python's window functions crash in a frame without rows.
    """
    spec = node.args.get("spec") if isinstance(node, exp.Window) else None
    if spec is None:
        return node
    ends_before = (spec.args.get("end_side") or "").upper() == "PRECEDING"
    if ends_before or (spec.args.get("start_side") or "").upper() == "FOLLOWING":
        raise NotCarriedError(node, "a window frame without its own row", "lag() or lead(), or a frame around the row")
    return node


def name_spreads(node: exp.Expr) -> exp.Expr:
    """Writes STDDEV and VARIANCE by the names that say sample or population.

    For all targets: helpers of SQLite, functions of Spark and Snowflake.
    """
    name = _SPREADS.get(type(node))
    return node if name is None else call(name, node.this, kind=DOUBLE)


def order_quantiles_upwards(node: exp.Expr) -> exp.Expr:
    """Writes PERCENTILE_CONT WITHIN GROUP, and MEDIAN, as QUANTILE_CONT of a constant.

    For all targets: one form for the transforms that follow.
    """
    if isinstance(node, exp.Median):
        half = put(exp.Literal.number("0.5"), DOUBLE)
        return put(exp.PercentileCont(this=node.this, expression=half), DOUBLE)
    if isinstance(node, exp.WithinGroup):
        ordered = node.expression.expressions[0]
        share = _share(node.this.this)
        upwards = _literal(share, bool(ordered.args.get("desc")))
        return put(exp.PercentileCont(this=ordered.this, expression=upwards), DOUBLE)
    return node


def _share(node: exp.Expr) -> str:
    if not isinstance(bare(node), exp.Literal) or not 0 <= float(bare(node).this) <= 1:
        raise NotCarriedError(node, "a quantile that is no written number from 0 to 1", "quantile_cont(x, 0.5)")
    return str(bare(node).this)


def _literal(share: str, downwards: bool) -> exp.Expr:
    return put(exp.Literal.number(repr(1 - float(share)) if downwards else share), DOUBLE)


def call_quantiles(node: exp.Expr) -> exp.Expr:
    """Writes QUANTILE_CONT as a call.

    For SQLite (a helper) and Spark (PERCENTILE, which is exact; its PERCENTILE_APPROX is not).
    """
    if not isinstance(node, exp.PercentileCont) or node.expression is None:
        return node
    _refuse_window(node)
    share = put(exp.Literal.number(_share(node.expression)), DOUBLE)
    return call("quantile_cont", node.this, share, kind=DOUBLE)


def call_percentile(node: exp.Expr) -> exp.Expr:
    """Writes QUANTILE_CONT as PERCENTILE.

    For Spark, where it interpolates exactly; what SQLGlot writes there is approximate.
    """
    changed = call_quantiles(node)
    return changed if changed is node else call("PERCENTILE", *changed.expressions, kind=DOUBLE)


def order_quantiles_within_group(node: exp.Expr) -> exp.Expr:
    """Writes QUANTILE_CONT as PERCENTILE_CONT WITHIN GROUP.

    For Snowflake.
    """
    if not isinstance(node, exp.PercentileCont) or node.expression is None:
        return node
    _refuse_window(node)
    order = exp.Order(expressions=[exp.Ordered(this=node.this, desc=False, nulls_first=False)])
    share = exp.Literal.number(_share(node.expression))
    return put(exp.WithinGroup(this=exp.PercentileCont(this=share), expression=order), DOUBLE)


def _refuse_window(node: exp.Expr) -> None:
    if isinstance(node.find_ancestor(exp.Window, exp.Select), exp.Window):
        raise NotCarriedError(node, "a quantile over a window", "a GROUP BY, joined")
    if isinstance(node.this, exp.Distinct):
        raise NotCarriedError(node, "a quantile of DISTINCT values", "a subquery with DISTINCT")


def judge_all_by_extremes(node: exp.Expr) -> exp.Expr:
    """Writes BOOL_AND as MIN and BOOL_OR as MAX.

    For SQLite, where true is 1 and false 0.
    """
    if isinstance(node, exp.LogicalAnd | exp.LogicalOr):
        return put((exp.Min if isinstance(node, exp.LogicalAnd) else exp.Max)(this=node.this), of(node))
    return node


def refuse_distinct_over_windows(node: exp.Expr) -> exp.Expr:
    """Refuses DISTINCT in an aggregate over a window.

    For all targets: SQLite and Spark have none.
    """
    if isinstance(node, exp.Distinct) and isinstance(node.find_ancestor(exp.Window, exp.Select), exp.Window):
        raise NotCarriedError(node, "DISTINCT over a window", "a GROUP BY, joined")
    return node


def refuse_sums_of_distinct(node: exp.Expr) -> exp.Expr:
    """Refuses SUM and AVG of DISTINCT values.

    For Snowflake, whose stand-in in the tests cannot run them.
    """
    if isinstance(node, exp.Sum | exp.Avg) and isinstance(node.this, exp.Distinct):
        raise NotCarriedError(node, f"{node.key.upper()} of DISTINCT values", "a subquery with DISTINCT")
    return node


def order_truths(node: exp.Expr) -> exp.Expr:
    """Compares truth values as 0 and 1 in MIN and MAX.

    For Snowflake, whose MIN and MAX take none.
    """
    if isinstance(node, exp.Min | exp.Max) and of(node).name == "BOOLEAN":
        name = "BOOLAND_AGG" if isinstance(node, exp.Min) else "BOOLOR_AGG"
        return call(name, node.this, kind=of(node))
    return node
