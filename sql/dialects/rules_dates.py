"""Types of operations on dates and moments."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.coercion import coerce, require, unify
from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import BIGINT, DATE, INTEGERS, INTERVAL, MOMENTS, TIMESTAMP, SqlType, of


def part(node: exp.Expr) -> SqlType:
    require(node.this, *MOMENTS)
    return BIGINT


def extract(node: exp.Extract) -> SqlType:
    require(node.expression, *MOMENTS)
    return BIGINT


def difference(node: exp.DateDiff) -> SqlType:
    unify((node.this, node.expression))
    require(node.this, *MOMENTS)
    return BIGINT


def truncated(node: exp.TimestampTrunc) -> SqlType:
    kind = require(node.this, *MOMENTS)
    if kind.name == "DATE":
        coerce(node.this, TIMESTAMP)
        return TIMESTAMP
    return kind.bare


def interval(node: exp.Interval) -> SqlType:
    kind = of(node.this)
    if kind.name == "VARCHAR":
        if not node.unit or not node.this.name.lstrip("-").isdigit():
            raise NotCarriedError(node, f"INTERVAL '{node.this.name}'", "interval 3 day, one unit at a time")
    else:
        require(node.this, *INTEGERS)
    return INTERVAL


def day_of_parts(node: exp.DateFromParts) -> SqlType:
    for part in node.iter_expressions():
        require(part, *INTEGERS)
    return DATE


def last_day(node: exp.LastDay) -> SqlType:
    require(node.this, "DATE")
    return DATE
