"""Functions SQL has no words for in SQLite, registered by name; a translated SELECT says which it calls.

All are pure. A mistake (overflow, a text that is no number, NaN) is an error there, never NULL. The names
`decimal_add`, `decimal_sub`, `decimal_mul`, `decimal_sum` and the collation `decimal` are those of SQLite's own
`decimal` extension. Values lie as docs/translation.md says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import wraps
from typing import Any

from sql import sqlite_functions_aggregates as aggregates
from sql import sqlite_functions_dates as dates
from sql import sqlite_functions_decimals as decimals
from sql import sqlite_functions_numbers as numbers
from sql import sqlite_functions_text as texts

# Any number of arguments, in SQLite's words.
_ANY = -1
_Function = Callable[..., Any]

# Answer NULL when an argument is NULL.
SCALARS: dict[str, tuple[int, _Function]] = {
    "int_add": (3, numbers.int_add),
    "int_sub": (3, numbers.int_sub),
    "int_mul": (3, numbers.int_mul),
    "int_div": (3, numbers.int_div),
    "int_mod": (3, numbers.int_mod),
    "int_neg": (2, numbers.int_neg),
    "int_abs": (2, numbers.int_abs),
    "int_fit": (2, numbers.int_fit),
    "double_add": (2, numbers.double_add),
    "double_sub": (2, numbers.double_sub),
    "double_mul": (2, numbers.double_mul),
    "double_div": (2, numbers.double_div),
    "double_neg": (1, numbers.double_neg),
    "double_pow": (2, numbers.double_pow),
    "double_sqrt": (1, numbers.double_sqrt),
    "double_exp": (1, numbers.double_exp),
    "double_ln": (1, numbers.double_ln),
    "double_round": (2, numbers.double_round),
    "double_floor": (1, numbers.double_floor),
    "double_ceil": (1, numbers.double_ceil),
    "double_to_int": (2, numbers.double_to_int),
    "double_to_decimal": (3, decimals.double_to_decimal),
    "decimal_add": (2, decimals.decimal_add),
    "decimal_sub": (2, decimals.decimal_sub),
    "decimal_mul": (2, decimals.decimal_mul),
    "decimal_mod": (2, decimals.decimal_mod),
    "decimal_abs": (1, decimals.decimal_abs),
    "decimal_floor": (1, decimals.decimal_floor),
    "decimal_ceil": (1, decimals.decimal_ceil),
    "decimal_cmp": (2, decimals.compare_decimals),
    "decimal_fit": (3, decimals.decimal_fit),
    "decimal_to_int": (2, decimals.decimal_to_int),
    "decimal_to_double": (1, decimals.decimal_to_double),
    "text_to_int": (2, texts.text_to_int),
    "text_to_decimal": (3, texts.text_to_decimal),
    "text_to_double": (1, texts.text_to_double),
    "text_to_boolean": (1, texts.text_to_boolean),
    "text_to_date": (1, dates.text_to_date),
    "text_lower": (1, texts.text_lower),
    "text_upper": (1, texts.text_upper),
    "text_replace": (3, texts.text_replace),
    "text_like": (3, texts.text_like),
    "text_ilike": (3, texts.text_ilike),
    "date_part": (2, dates.date_part),
    "date_trunc": (2, dates.date_trunc),
    "date_diff": (3, dates.date_diff),
    "date_add": (3, dates.date_add),
    "make_date": (3, dates.make_date),
    "last_day": (1, dates.last_day),
}
# See NULLs as values.
PRESENT: dict[str, _Function] = {
    "value_greatest": numbers.value_greatest,
    "value_least": numbers.value_least,
    "decimal_greatest": decimals.decimal_greatest,
    "decimal_least": decimals.decimal_least,
}
AGGREGATES: dict[str, tuple[int, type]] = {
    "decimal_sum": (1, aggregates.DecimalSum),
    "decimal_avg": (1, aggregates.DecimalAvg),
    "double_sum": (1, aggregates.DoubleSum),
    "double_avg": (1, aggregates.DoubleAvg),
    "stddev_samp": (1, aggregates.StddevSamp),
    "stddev_pop": (1, aggregates.StddevPop),
    "var_samp": (1, aggregates.VarSamp),
    "var_pop": (1, aggregates.VarPop),
    "quantile_cont": (2, aggregates.QuantileCont),
}
COLLATION = "decimal"
HELPERS = frozenset({*SCALARS, *PRESENT, *AGGREGATES})


def register(connection: sqlite3.Connection) -> None:
    """Make every helper known to `connection`.

    Args:
        connection: Open connection to SQLite 3.39 or later.
    """
    for name, (count, function) in SCALARS.items():
        connection.create_function(name, count, _strict(function), deterministic=True)
    for name, function in PRESENT.items():
        connection.create_function(name, _ANY, function, deterministic=True)
    for name, (count, aggregate) in AGGREGATES.items():
        connection.create_window_function(name, count, aggregate)  # type: ignore[attr-defined, unused-ignore]
    connection.create_collation(COLLATION, decimals.compare_decimals)


def _strict(function: _Function) -> _Function:
    @wraps(function)
    def of_present(*arguments: Any) -> Any:
        if None in arguments:
            return None
        try:
            return function(*arguments)
        except OverflowError as error:
            # SQLite would say that a string is too big.
            raise ArithmeticError(str(error)) from None

    return of_present
