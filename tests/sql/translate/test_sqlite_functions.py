"""The helpers of SQLite: what they answer, and that a mistake is an error and never NULL."""

from __future__ import annotations

import sqlite3
import unicodedata

import pyarrow as pa
import pytest

from sql.sqlite_functions import HELPERS
from sql.sqlite_functions_text import text_lower, text_upper
from tests.sql.translate.conftest import Comparison
from tests.sql.translate.engines import DuckDB, SQLite

SURROGATES = range(0xD800, 0xE000)
LETTERS = [chr(code) for code in range(1, 0x110000) if code not in SURROGATES]


def value_of(engine: SQLite, expression: str) -> object:
    return engine.connection.execute(f"SELECT {expression}").fetchone()[0]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("decimal_add('0.10', '0.2')", "0.30"),
        ("decimal_sub('0', '0.00')", "0.00"),
        ("decimal_mul('-0.05', '0.10')", "-0.0050"),
        ("decimal_fit('1.005', 10, 2)", "1.01"),
        ("decimal_fit('-1.005', 10, 2)", "-1.01"),
        ("decimal_fit(7, 10, 2)", "7.00"),
        ("decimal_fit('99999999999999999999999999999999999999', 38, 0)", "9" * 38),
        ("'10.00' < '9.00' COLLATE decimal", 0),
        ("int_div(-7, 2, 64)", -3),
        ("int_mod(-7, 3, 64)", -1),
        ("double_div(1, 0)", float("inf")),
        ("double_to_int(2.5, 64)", 2),
        ("double_to_decimal(0.285, 10, 2)", "0.28"),
        ("text_like('Abc', 'a%', '')", 0),
        ("text_like('a%c', 'a!%c', '!')", 1),
        ("text_lower(NULL)", None),
        ("date_add('month', 1, '2024-01-31')", "2024-02-29"),
        ("date_add('month', -1, '2024-03-31 10:00:00.000000+00:00')", "2024-02-29 10:00:00.000000+00:00"),
        ("date_trunc('week', '2024-03-03')", "2024-02-26"),
        ("date_diff('month', '2024-01-31', '2024-02-01')", 1),
        ("date_part('week', '2021-01-03')", 53),
        ("value_greatest(NULL, 2, 1)", 2),
        ("value_least(NULL, NULL)", None),
    ],
)
def test_a_helper_answers(expression: str, value: object, sqlite_engine: SQLite) -> None:
    assert value_of(sqlite_engine, expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "int_add(9223372036854775807, 1, 64)",
        "int_mul(2147483647, 2, 32)",
        "int_div(1, 0, 64)",
        "int_mod(1, 0, 64)",
        "int_abs(-9223372036854775808, 64)",
        "double_div(0, 0)",
        "double_sub(9e999, 9e999)",
        "double_sqrt(-1)",
        "double_ln(-1)",
        "decimal_mod('1', '0')",
        "decimal_fit('100.00', 4, 2)",
        "decimal_to_int('2147483648', 32)",
        "text_to_int('1.5', 64)",
        "text_to_int('', 64)",
        "text_to_int('\uff19', 64)",
        "text_to_double('nan')",
        "text_to_double('1_0')",
        "text_to_boolean('maybe')",
        "text_to_date('2024-2-9')",
        "text_to_date('2024-02-30')",
        "text_like('a', 'a!', '!')",
        "make_date(2024, 2, 30)",
        "date_add('day', 1, '9999-12-31')",
        "date_add('month', -1, '0001-01-01')",
    ],
)
def test_a_mistake_is_an_error_and_not_null(expression: str, sqlite_engine: SQLite) -> None:
    with pytest.raises(sqlite3.OperationalError):
        value_of(sqlite_engine, expression)


def test_every_letter_has_the_case_duckdb_gives_it(duck: DuckDB) -> None:
    duck.connection.register("letters", pa.table({"letter": LETTERS}))
    rows = duck.connection.sql("SELECT letter, lower(letter), upper(letter) FROM letters").fetchall()
    duck.connection.unregister("letters")
    assert [row for row in rows if (text_lower(row[0]), text_upper(row[0])) != row[1:]] == []


@pytest.mark.spark
def test_every_letter_has_the_case_duckdb_gives_it_on_spark(same_rows: Comparison) -> None:
    # Spark knows the case of letters that came with Unicode 16, when DuckDB does not yet.
    old = [letter for letter in LETTERS if unicodedata.category(letter) != "Cn"]
    table = pa.table({"id": range(len(old)), "letter": old})
    same_rows(
        "select id, lower(letter) as l, upper(letter) as u, trim(letter) as t from letters", {"letters": table}, "spark"
    )


def test_sums_over_sliding_frames_are_exact(sqlite_engine: SQLite) -> None:
    rows = sqlite_engine.connection.execute(
        "WITH t(i, d, f) AS (VALUES (1, '0.10', 1e16), (2, NULL, 1.0), (3, '-0.30', -1e16), (4, '0.05', 0.5)) "
        "SELECT decimal_sum(d) OVER w, double_sum(f) OVER w, decimal_avg(d) OVER w "
        "FROM t WINDOW w AS (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
    ).fetchall()
    assert rows == [
        ("0.10", 1e16, 0.1),
        ("0.10", 1e16 + 1.0, 0.1),
        ("-0.30", -1e16 + 1.0, -0.3),
        ("-0.25", -1e16 + 0.5, -0.125),
    ]


def test_every_helper_is_registered_under_its_name(sqlite_engine: SQLite) -> None:
    known = {row[0] for row in sqlite_engine.connection.execute("SELECT name FROM pragma_function_list")}
    assert known >= HELPERS
