"""What all targets share: the frame of a SELECT, and the first transforms, which take out what two of them lack."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.target import Transform, parts
from sql.transforms.aggregates import (
    count_what_is_true,
    name_spreads,
    order_quantiles_upwards,
    refuse_distinct_over_windows,
)
from sql.transforms.nulls import test_truth_by_coalesce
from sql.transforms.strings import concatenate_without_nulls, trim_spaces_of_unicode
from sql.transforms.structure import refuse_mixed_intersect

FIRST: tuple[Transform, ...] = (
    refuse_mixed_intersect,
    refuse_distinct_over_windows,
    test_truth_by_coalesce,
    count_what_is_true,
    order_quantiles_upwards,
    name_spreads,
    concatenate_without_nulls,
    trim_spaces_of_unicode,
)

_BINARY = parts("this", "expression")
# Syntax that means the same everywhere once types are settled, each with the parts it may have.
FRAME: dict[type[exp.Expr], frozenset[str]] = {
    exp.Select: parts(
        "expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "with_", "distinct"
    ),
    exp.Subquery: parts("this", "alias"),
    exp.Union: parts("this", "expression", "with_", "distinct", "order", "limit", "offset"),
    exp.Except: parts("this", "expression", "with_", "distinct", "order", "limit", "offset"),
    exp.Intersect: parts("this", "expression", "with_", "distinct", "order", "limit", "offset"),
    exp.With: parts("expressions"),
    exp.CTE: parts("this", "alias"),
    exp.From: parts("this"),
    exp.Join: parts("this", "on", "side", "kind"),
    exp.Table: parts("this", "db", "alias"),
    exp.TableAlias: parts("this"),
    exp.Identifier: parts("this", "quoted"),
    exp.Column: parts("this", "table"),
    exp.Alias: parts("this", "alias"),
    exp.Distinct: parts("expressions"),
    exp.Where: parts("this"),
    exp.Group: parts("expressions"),
    exp.Having: parts("this"),
    exp.Order: parts("expressions"),
    exp.Ordered: parts("this", "desc", "nulls_first"),
    exp.Limit: parts("expression"),
    exp.Offset: parts("expression"),
    exp.Paren: parts("this"),
    exp.Literal: parts("this", "is_string"),
    exp.Null: parts(),
    exp.Boolean: parts("this"),
    exp.Star: parts(),
    exp.DataType: parts("this", "expressions"),
    exp.DataTypeParam: parts("this"),
    exp.Cast: parts("this", "to"),
    exp.And: _BINARY,
    exp.Or: _BINARY,
    exp.Not: parts("this"),
    exp.EQ: _BINARY,
    exp.NEQ: _BINARY,
    exp.LT: _BINARY,
    exp.LTE: _BINARY,
    exp.GT: _BINARY,
    exp.GTE: _BINARY,
    exp.NullSafeEQ: _BINARY,
    exp.NullSafeNEQ: _BINARY,
    exp.Is: _BINARY,
    exp.In: parts("this", "expressions", "query"),
    exp.Between: parts("this", "low", "high"),
    exp.Exists: parts("this"),
    exp.Case: parts("this", "ifs", "default"),
    exp.If: parts("this", "true", "false"),
    exp.Coalesce: parts("this", "expressions"),
    exp.Nullif: _BINARY,
    exp.DPipe: parts("this", "expression", "safe"),
    exp.Neg: parts("this"),
    exp.Count: parts("this", "big_int"),
    exp.Sum: parts("this"),
    exp.Min: parts("this"),
    exp.Max: parts("this"),
    exp.Window: parts("this", "partition_by", "order", "spec", "over"),
    exp.WindowSpec: parts("kind", "start", "start_side", "end", "end_side"),
    exp.RowNumber: parts(),
    exp.Rank: parts(),
    exp.DenseRank: parts(),
    exp.Ntile: parts("this"),
    exp.PercentRank: parts(),
    exp.CumeDist: parts(),
    exp.Lead: parts("this", "offset", "default"),
    exp.Lag: parts("this", "offset", "default"),
    exp.FirstValue: parts("this"),
    exp.LastValue: parts("this"),
}
ARITHMETIC: dict[type[exp.Expr], frozenset[str]] = {
    exp.Add: _BINARY,
    exp.Sub: _BINARY,
    exp.Mul: _BINARY,
    exp.Mod: _BINARY,
    exp.Div: _BINARY,
}
# Native where SQLite needs another form.
WIDER: dict[type[exp.Expr], frozenset[str]] = {
    exp.GroupingSets: parts("expressions"),
    exp.Rollup: parts("expressions"),
    exp.Cube: parts("expressions"),
    exp.Tuple: parts("expressions"),
    exp.Grouping: parts("expressions"),
    exp.Values: parts("expressions", "alias"),
    exp.TableAlias: parts("this", "columns"),
    exp.Like: parts("this", "expression", "negate"),
    exp.Escape: _BINARY,
    exp.Length: parts("this"),
    exp.Substring: parts("this", "start", "length"),
    exp.Left: _BINARY,
    exp.Right: _BINARY,
    exp.Replace: parts("this", "expression", "replacement"),
    exp.Abs: parts("this"),
    exp.Round: parts("this", "decimals"),
    exp.Floor: parts("this"),
    exp.Ceil: parts("this"),
}
