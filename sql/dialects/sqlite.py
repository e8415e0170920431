"""SQLite 3.39 and later, with the helpers of `sql.sqlite_functions` registered."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.frame import FIRST, FRAME
from sql.dialects.target import Target, parts
from sql.sqlite_functions import HELPERS
from sql.transforms.aggregates import (
    call_quantiles,
    filter_windows_by_case,
    judge_all_by_extremes,
    refuse_frames_without_their_row,
)
from sql.transforms.casts import cast_by_helpers, fold_casts_of_numbers
from sql.transforms.dates_sqlite import (
    call_differences,
    call_makers_of_dates,
    call_moves,
    call_parts_of_dates,
    call_truncations,
)
from sql.transforms.decimals import (
    aggregate_decimals_as_text,
    call_decimal_functions,
    compare_decimals_by_value,
    compute_decimals_as_text,
    order_decimals_by_value,
    write_decimals_as_text,
)
from sql.transforms.grouping import unite_grouping_sets
from sql.transforms.nulls import greatest_of_those_present
from sql.transforms.numbers import (
    aggregate_doubles_checked,
    compute_doubles_checked,
    compute_integers_checked,
    refuse_wide_numbers,
    round_doubles_like_duckdb,
)
from sql.transforms.qualify import filter_windows_outside
from sql.transforms.strings import (
    call_substrings,
    call_trims,
    change_case_of_unicode,
    find_places_by_function,
    match_patterns,
    take_ends_of_text,
)
from sql.transforms.structure import (
    join_layer_and_name,
    quote_odd_names,
    refuse_subqueries_of_many_rows,
    select_rows_of_values,
    unwrap_operands,
)

SQLITE = Target(
    name="sqlite",
    dialect="sqlite",
    transforms=(
        *FIRST,
        refuse_subqueries_of_many_rows,
        filter_windows_outside,
        unite_grouping_sets,
        select_rows_of_values,
        unwrap_operands,
        refuse_wide_numbers,
        filter_windows_by_case,
        refuse_frames_without_their_row,
        judge_all_by_extremes,
        call_quantiles,
        call_parts_of_dates,
        call_truncations,
        call_makers_of_dates,
        call_differences,
        call_moves,
        call_trims,
        change_case_of_unicode,
        match_patterns,
        find_places_by_function,
        call_substrings,
        take_ends_of_text,
        compare_decimals_by_value,
        order_decimals_by_value,
        aggregate_decimals_as_text,
        aggregate_doubles_checked,
        call_decimal_functions,
        compute_decimals_as_text,
        round_doubles_like_duckdb,
        compute_integers_checked,
        compute_doubles_checked,
        greatest_of_those_present,
        fold_casts_of_numbers,
        cast_by_helpers,
        write_decimals_as_text,
        join_layer_and_name,
        quote_odd_names,
    ),
    nodes={
        **{kind: held for kind, held in FRAME.items() if kind is not exp.DataTypeParam},
        exp.DataType: parts("this"),
        exp.Table: parts("this", "alias"),
        exp.Abs: parts("this"),
        exp.Collate: parts("this", "expression"),
        exp.Var: parts("this"),
        exp.Filter: parts("this", "expression"),
    },
    functions=HELPERS | {"COALESCE", "INSTR", "LENGTH", "LTRIM", "RTRIM", "SUBSTR", "TRIM"},
    helpers=HELPERS,
)
