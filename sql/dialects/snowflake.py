"""Snowflake; proved on fakesnow, and stricter where that is known to answer like DuckDB instead of Snowflake."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.frame import ARITHMETIC, FIRST, FRAME, WIDER
from sql.dialects.target import Target, parts
from sql.transforms.aggregates import (
    filter_by_case,
    order_quantiles_within_group,
    order_truths,
    refuse_sums_of_distinct,
)
from sql.transforms.casts import refuse_casts_of_doubles_to_integers, refuse_casts_that_differ
from sql.transforms.dates_snowflake import (
    count_differences_for_snowflake,
    make_dates_for_snowflake,
    move_dates_for_snowflake,
    name_parts_for_snowflake,
    truncate_for_snowflake,
)
from sql.transforms.decimals import (
    average_as_doubles,
    pin_decimals_for_snowflake,
    pin_terms_of_sums,
    pin_windowed_sums,
    shorten_factors,
)
from sql.transforms.grouping import unite_grouping_sets_with_the_empty_one
from sql.transforms.nulls import coalesce_before_greatest
from sql.transforms.numbers import divide_by_zero_like_duckdb, divide_whole_by_remainder, refuse_rounded_doubles
from sql.transforms.strings import (
    call_trims,
    name_searches,
    refuse_places_before_the_text,
    refuse_trims_of_characters,
)
from sql.transforms.structure import quote_odd_names_in_capitals

SNOWFLAKE = Target(
    name="snowflake",
    dialect="snowflake",
    transforms=(
        *FIRST,
        unite_grouping_sets_with_the_empty_one,
        filter_by_case,
        refuse_sums_of_distinct,
        refuse_trims_of_characters,
        order_truths,
        refuse_casts_that_differ,
        refuse_casts_of_doubles_to_integers,
        refuse_rounded_doubles,
        refuse_places_before_the_text,
        order_quantiles_within_group,
        shorten_factors,
        average_as_doubles,
        name_parts_for_snowflake,
        truncate_for_snowflake,
        make_dates_for_snowflake,
        count_differences_for_snowflake,
        move_dates_for_snowflake,
        divide_whole_by_remainder,
        pin_terms_of_sums,
        pin_decimals_for_snowflake,
        pin_windowed_sums,
        divide_by_zero_like_duckdb,
        call_trims,
        name_searches,
        coalesce_before_greatest,
        quote_odd_names_in_capitals,
    ),
    nodes={
        **FRAME,
        **ARITHMETIC,
        **WIDER,
        exp.Select: FRAME[exp.Select] | {"qualify"},
        exp.Qualify: parts("this"),
        exp.Avg: parts("this"),
        exp.Var: parts("this"),
        exp.LogicalAnd: parts("this"),
        exp.LogicalOr: parts("this"),
        exp.WithinGroup: parts("this", "expression"),
        exp.PercentileCont: parts("this"),
        exp.Sqrt: parts("this"),
        exp.Exp: parts("this"),
        exp.Lower: parts("this"),
        exp.Upper: parts("this"),
        exp.ILike: parts("this", "expression", "negate"),
    },
    functions=frozenset(
        {
            "BOOLAND_AGG", "BOOLOR_AGG", "COALESCE", "CONTAINS", "DATEADD", "DATEDIFF", "DATE_FROM_PARTS", "DATE_PART",
            "DATE_TRUNC", "GREATEST", "LAST_DAY", "LEAST", "MOD", "NULLIF", "POSITION", "STARTSWITH",
            "TRIM", "stddev_pop", "stddev_samp", "var_pop", "var_samp",
        }
    ),
)  # fmt: skip
