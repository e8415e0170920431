"""Typed nodes the transforms build."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.types import BIGINT, SqlType, put


def call(name: str, *arguments: exp.Expr | str | int, kind: SqlType) -> exp.Anonymous:
    """A call of a function by name; text and numbers become literals."""
    nodes = [_node(argument) for argument in arguments]
    return put(exp.Anonymous(this=name, expressions=nodes), kind)


def number(value: int) -> exp.Expr:
    """A whole number as an expression; a negative one in parentheses, so that no operator reads its sign."""
    literal = put(exp.Literal.number(abs(value)), BIGINT)
    return literal if value >= 0 else put(exp.Paren(this=put(exp.Neg(this=literal), BIGINT)), BIGINT)


def cast(node: exp.Expr, kind: SqlType) -> exp.Cast:
    return put(exp.Cast(this=node, to=kind.node()), kind)


def bare(node: exp.Expr) -> exp.Expr:
    """`node` without the parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def grouped(node: exp.Expr) -> exp.Expr:
    """`node` in parentheses where an operator beside it could tear it apart."""
    return exp.Paren(this=node) if isinstance(node, exp.Binary | exp.Unary | exp.Between | exp.In | exp.Case) else node


def _node(argument: exp.Expr | str | int) -> exp.Expr:
    if isinstance(argument, exp.Expr):
        return bare(argument)
    return exp.Literal.string(argument) if isinstance(argument, str) else number(argument)
