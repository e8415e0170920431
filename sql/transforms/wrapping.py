"""A SELECT whose rows something happens to afterwards, wrapped into a subquery without moving its ORDER BY inside."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import SqlType, of, put

_OUTER_CLAUSES = ("limit", "offset")


def column(table: str, name: str, kind: SqlType) -> exp.Column:
    return put(exp.column(name, table=table), kind)


def order_by_outputs(select: exp.Select) -> list[tuple[str, exp.Expr]]:
    """Take the ORDER BY off a SELECT, each term as the name of an output, and its direction.

    A term that is no output becomes one more projection, named ``_order_<n>``.
    """
    order = select.args.get("order")
    select.set("order", None)
    terms: list[tuple[str, exp.Expr]] = []
    for ordered in order.expressions if order else ():
        term = ordered.this
        if isinstance(term, exp.Column) and not term.table:
            terms.append((term.name, ordered))
            continue
        if select.args.get("distinct"):
            raise NotCarriedError(term, "ORDER BY what SELECT DISTINCT does not yield", "select it too")
        name = f"_order_{len(terms)}"
        select.append("expressions", put(exp.alias_(term.copy(), name), of(term)))
        terms.append((name, ordered))
    return terms


def wrap(inner: exp.Query, alias: str, outputs: list[tuple[str, SqlType]], original: exp.Select) -> exp.Select:
    """SELECT the outputs of `inner`, with the WITH, LIMIT and OFFSET of `original`."""
    outer = exp.Select(expressions=[put(exp.alias_(column(alias, n, k), n), k) for n, k in outputs])
    subquery = exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(alias)))
    outer.set("from_", exp.From(this=subquery))
    for clause in ("with_", *_OUTER_CLAUSES):
        outer.set(clause, original.args.get(clause))
        inner.set(clause, None)
    return outer


def order_wrapped(outer: exp.Select, alias: str, terms: list[tuple[str, exp.Expr]]) -> None:
    """Give the outer SELECT the ORDER BY taken off the inner one."""
    if not terms:
        return
    for name, ordered in terms:
        ordered.set("this", column(alias, name, of(ordered.this)))
    outer.set("order", exp.Order(expressions=[ordered for _, ordered in terms]))


def outputs_of(select: exp.Select) -> list[tuple[str, SqlType]]:
    return [(projection.alias_or_name, of(projection)) for projection in select.expressions]
