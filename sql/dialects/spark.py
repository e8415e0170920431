"""Spark 4 in ANSI mode, its session in UTC."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.frame import ARITHMETIC, FIRST, FRAME, WIDER
from sql.dialects.target import Target, parts
from sql.transforms.aggregates import call_percentile
from sql.transforms.casts import narrow_hugeints, refuse_casts_that_differ, round_in_casts
from sql.transforms.dates_spark import (
    count_differences_for_spark,
    make_dates_for_spark,
    move_dates_for_spark,
    name_parts_for_spark,
    truncate_for_spark,
)
from sql.transforms.decimals import average_as_doubles, pin_decimals_for_spark, pin_windowed_sums, shorten_factors
from sql.transforms.grouping import unite_grouping_sets_with_the_empty_one
from sql.transforms.numbers import divide_by_zero_like_duckdb, refuse_rounded_doubles, refuse_wide_numbers
from sql.transforms.qualify import filter_windows_outside
from sql.transforms.strings import (
    escape_backslashes_in_patterns,
    lower_before_ilike,
    lower_one_letter_at_a_time,
    name_searches,
    refuse_places_before_the_text,
    trim_for_spark,
    upper_one_letter_at_a_time,
)
from sql.transforms.structure import quote_odd_names

SPARK = Target(
    name="spark",
    dialect="spark",
    transforms=(
        *FIRST,
        filter_windows_outside,
        unite_grouping_sets_with_the_empty_one,
        refuse_wide_numbers,
        refuse_casts_that_differ,
        refuse_rounded_doubles,
        refuse_places_before_the_text,
        call_percentile,
        shorten_factors,
        average_as_doubles,
        round_in_casts,
        name_parts_for_spark,
        truncate_for_spark,
        make_dates_for_spark,
        count_differences_for_spark,
        move_dates_for_spark,
        pin_decimals_for_spark,
        pin_windowed_sums,
        divide_by_zero_like_duckdb,
        trim_for_spark,
        escape_backslashes_in_patterns,
        lower_before_ilike,
        lower_one_letter_at_a_time,
        upper_one_letter_at_a_time,
        name_searches,
        narrow_hugeints,
        quote_odd_names,
    ),
    nodes={
        **FRAME,
        **ARITHMETIC,
        **WIDER,
        exp.IntDiv: parts("this", "expression"),
        exp.Avg: parts("this"),
        exp.Filter: parts("this", "expression"),
        exp.LogicalAnd: parts("this"),
        exp.LogicalOr: parts("this"),
        exp.Greatest: parts("this", "expressions", "ignore_nulls"),
        exp.Least: parts("this", "expressions", "ignore_nulls"),
        exp.Lambda: parts("this", "expressions"),
        exp.Sqrt: parts("this"),
        exp.Exp: parts("this"),
        exp.Trim: parts("this", "expression", "position"),
    },
    functions=frozenset(
        {
            "ARRAY_JOIN", "COALESCE", "CONTAINS", "DATEDIFF", "DATE_ADD", "DATE_TRUNC", "DAY", "DAYOFWEEK",
            "DAYOFYEAR", "HOUR", "LAST_DAY", "LOWER", "MAKE_DATE", "MAKE_DT_INTERVAL", "MAKE_YM_INTERVAL",
            "MINUTE", "MONTH", "NULLIF", "PERCENTILE", "POSITION", "QUARTER", "RINT", "ROUND", "SECOND",
            "SPLIT", "STARTSWITH", "TRANSFORM", "TRANSLATE", "UNIX_MICROS", "UPPER", "WEEKDAY",
            "WEEKOFYEAR", "YEAR", "stddev_pop", "stddev_samp", "var_pop", "var_samp",
        }
    ),
)  # fmt: skip
