"""Types of comparisons, conditions and choices: what meets is brought to one type."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.coercion import coerce, require, unify
from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import BOOLEAN, NULL, SqlType, common, of


def compared(node: exp.Binary) -> SqlType:
    unify((node.this, node.expression))
    return BOOLEAN


def between(node: exp.Between) -> SqlType:
    unify((node.this, node.args["low"], node.args["high"]))
    return BOOLEAN


def member(node: exp.In) -> SqlType:
    if not node.expressions:
        _in_query(node)
    else:
        unify((node.this, *node.expressions))
    return BOOLEAN


def _in_query(node: exp.In) -> None:
    query = node.args["query"].unnest()
    inner = of(node.args["query"])
    shared = common(of(node.this), inner)
    if shared is None:
        raise NotCarriedError(node, f"IN of {of(node.this)} and {inner}", "cast both to one type")
    coerce(node.this, shared)
    if inner.bare != shared:
        raise NotCarriedError(
            query, f"IN (SELECT ...) of {inner} where {shared} is compared", f"cast to {shared} inside"
        )


def logical(node: exp.Expr) -> SqlType:
    for side in node.iter_expressions():
        require(side, "BOOLEAN")
    return BOOLEAN


def tested(node: exp.Is) -> SqlType:
    if not isinstance(node.expression, exp.Null):
        require(node.this, "BOOLEAN")
    return BOOLEAN


def case(node: exp.Case) -> SqlType:
    branches = list(node.args["ifs"])
    if node.this:
        # CASE x WHEN y compares like x = y; written so, it is carried like it.
        for branch in branches:
            unify((node.this, branch.this))
    else:
        for branch in branches:
            require(branch.this, "BOOLEAN")
    default = [node.args["default"]] if node.args.get("default") else []
    # DuckDB starts from the ELSE; the order decides nothing but how literals meet.
    return unify([*default, *(branch.args["true"] for branch in branches)])


def _if(node: exp.If) -> SqlType:
    require(node.this, "BOOLEAN")
    return unify([node.args[key] for key in ("true", "false") if node.args.get(key)])


def branch(node: exp.If) -> SqlType:
    return NULL if isinstance(node.parent, exp.Case) else _if(node)


def alike(node: exp.Expr) -> SqlType:
    return unify((node.this, *node.expressions))


def nullif(node: exp.Nullif) -> SqlType:
    kind = of(node.this)
    shared = common(kind, of(node.expression))
    if shared is None or (shared != kind.bare and not (kind.is_integer and shared.is_integer)):
        raise NotCarriedError(node, f"NULLIF of {kind} and {of(node.expression)}", "cast both to one type")
    coerce(node.expression, shared)
    return kind.bare
