"""Types of operations on text."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.coercion import coerce, require
from sql.dialects.types import BIGINT, BOOLEAN, INTEGERS, VARCHAR, SqlType


def texts(node: exp.Expr) -> SqlType:
    for part in list(node.iter_expressions()):
        require(part, "VARCHAR")
    return VARCHAR


def joined(node: exp.Expr) -> SqlType:
    for part in list(node.iter_expressions()):
        require(part, "VARCHAR", "BOOLEAN", "DATE", "DECIMAL", *INTEGERS)
        coerce(part, VARCHAR)
    return VARCHAR


def text_test(node: exp.Expr) -> SqlType:
    texts(node)
    return BOOLEAN


def escaped(node: exp.Escape) -> SqlType:
    require(node.expression, "VARCHAR")
    return BOOLEAN


def text_place(node: exp.Expr) -> SqlType:
    texts(node)
    return BIGINT


def part_of_text(node: exp.Expr) -> SqlType:
    require(node.this, "VARCHAR")
    for part in list(node.iter_expressions())[1:]:
        require(part, *INTEGERS)
    return VARCHAR
