"""The type of every expression this project carries, by its class.

A class without a rule is carried nowhere: this table is the first of the two allow-lists an expression
passes, the target's own (`sql/dialects/<target>.py`) is the second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from sql.dialects import rules_aggregates as aggregates
from sql.dialects import rules_dates as dates
from sql.dialects import rules_logic as logic
from sql.dialects import rules_numbers as numbers
from sql.dialects import rules_texts as texts
from sql.dialects.coercion import require, typed_cast
from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import BIGINT, BOOLEAN, CARRIED, DOUBLE, NULL, SqlType, from_node, of, of_number

Rule = Callable[[Any], SqlType]


def _literal(node: exp.Literal) -> SqlType:
    return SqlType("VARCHAR", literal=node.this) if node.is_string else of_number(node.this)


def _inner(node: exp.Expr) -> SqlType:
    return of(node.this)


def _cast(node: exp.Cast) -> SqlType:
    to = from_node(node.to)
    if to.name not in CARRIED:
        raise NotCarriedError(node, f"CAST to {to}", f"one of {', '.join(CARRIED).lower()}")
    source = require(node.this, *CARRIED)
    if isinstance(node.this, exp.Literal) and node.this.is_string:
        folded = typed_cast(node.this, to)
        node.set("this", folded.this if isinstance(folded, exp.Cast) else folded)
    elif {source.name, to.name} == {"BOOLEAN", "DECIMAL"} or (source.is_moment and to.is_number):
        raise NotCarriedError(node, f"CAST of {source} to {to}", "case when ... then ... end")
    node.set("to", to.node())
    return to


def _always(kind: SqlType) -> Rule:
    return lambda _node: kind


RULES: dict[type[exp.Expr], Rule] = {
    exp.Literal: _literal,
    exp.Null: _always(NULL),
    exp.Boolean: _always(BOOLEAN),
    exp.Paren: _inner,
    exp.Alias: _inner,
    exp.Cast: _cast,
    exp.Neg: numbers.negated,
    exp.Add: numbers.sum_of_two,
    exp.Sub: numbers.sum_of_two,
    exp.Mul: numbers.product,
    exp.Div: numbers.quotient,
    exp.IntDiv: numbers.whole_quotient,
    exp.Mod: numbers.whole_quotient,
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE), logic.compared),
    **dict.fromkeys((exp.NullSafeEQ, exp.NullSafeNEQ), logic.compared),
    exp.Between: logic.between,
    exp.In: logic.member,
    exp.Exists: _always(BOOLEAN),
    exp.Is: logic.tested,
    **dict.fromkeys((exp.And, exp.Or, exp.Not), logic.logical),
    exp.Case: logic.case,
    exp.If: logic.branch,
    **dict.fromkeys((exp.Coalesce, exp.Greatest, exp.Least), logic.alike),
    exp.Nullif: logic.nullif,
    exp.DPipe: texts.joined,
    exp.Concat: texts.joined,
    **dict.fromkeys((exp.Lower, exp.Upper, exp.Trim, exp.Replace), texts.texts),
    **dict.fromkeys((exp.Like, exp.ILike, exp.StartsWith, exp.Contains), texts.text_test),
    exp.Escape: texts.escaped,
    **dict.fromkeys((exp.Length, exp.StrPosition), texts.text_place),
    **dict.fromkeys((exp.Substring, exp.Left, exp.Right), texts.part_of_text),
    exp.Abs: numbers.same_number,
    exp.Round: numbers.rounded,
    **dict.fromkeys((exp.Floor, exp.Ceil), numbers.whole),
    **dict.fromkeys((exp.Sqrt, exp.Exp, exp.Ln, exp.Pow), numbers.real),
    exp.Count: _always(BIGINT),
    exp.Sum: aggregates.summed,
    exp.Avg: aggregates.averaged,
    **dict.fromkeys((exp.Min, exp.Max), aggregates.extreme),
    **dict.fromkeys((exp.Stddev, exp.StddevSamp, exp.StddevPop, exp.Variance, exp.VariancePop), aggregates.spread),
    exp.Median: aggregates.median,
    exp.PercentileCont: aggregates.quantile,
    exp.WithinGroup: aggregates.within_group,
    **dict.fromkeys((exp.CountIf, exp.LogicalAnd, exp.LogicalOr), aggregates.conditional),
    exp.Filter: _inner,
    exp.Distinct: lambda node: of(node.expressions[0]),
    exp.Window: _inner,
    **dict.fromkeys((exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile), _always(BIGINT)),
    **dict.fromkeys((exp.PercentRank, exp.CumeDist), _always(DOUBLE)),
    **dict.fromkeys((exp.Lead, exp.Lag), aggregates.neighbour),
    **dict.fromkeys((exp.FirstValue, exp.LastValue), lambda node: of(node.this).bare),
    exp.Grouping: _always(BIGINT),
    **dict.fromkeys((exp.Year, exp.Month, exp.Day, exp.Quarter, exp.Hour, exp.Minute, exp.Second), dates.part),
    **dict.fromkeys((exp.DayOfWeek, exp.DayOfWeekIso, exp.DayOfYear, exp.WeekOfYear, exp.Week), dates.part),
    exp.Extract: dates.extract,
    exp.DateDiff: dates.difference,
    exp.TimestampTrunc: dates.truncated,
    exp.Interval: dates.interval,
    exp.DateFromParts: dates.day_of_parts,
    exp.LastDay: dates.last_day,
}
