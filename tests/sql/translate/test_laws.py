"""Whatever is written: DuckDB's rows, or a refusal, or an error; never other rows."""

from __future__ import annotations

import sqlite3

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from snowflake.connector.errors import ProgrammingError

from lake.errors import ModelError
from tests.sql.translate.conftest import Comparison
from tests.sql.translate.edges import EDGES
from tests.sql.translate.grammar import expressions

SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


def agrees_or_refuses(expression: str, target: str, same_rows: Comparison, *, row: int | None = None) -> None:
    """The law, for one expression over every row of edges at once, and row by row where one of them fails."""
    table = EDGES if row is None else EDGES.slice(row, 1)
    try:
        same_rows(f"select id, {expression} as x from edges", {"edges": table}, target)
    except ModelError:
        return
    except (duckdb.Error, pa.ArrowException, sqlite3.Error, ProgrammingError, OverflowError):
        if row is None:
            for number in range(EDGES.num_rows):
                agrees_or_refuses(expression, target, same_rows, row=number)


@settings(max_examples=150, suppress_health_check=SLOW)
@given(expression=expressions())
@example(expression="date '1998-12-01' - interval 90 day >= dt")
@example(expression="1 / b")
@example(expression="cast(-2.5 as integer)")
@example(expression="substr(v, s, b)")
def test_an_expression_on_sqlite_is_right_or_refused(expression: str, same_rows: Comparison) -> None:
    agrees_or_refuses(expression, "sqlite", same_rows)


@settings(max_examples=80, suppress_health_check=SLOW)
@given(expression=expressions())
def test_an_expression_on_snowflake_is_right_or_refused(expression: str, same_rows: Comparison) -> None:
    agrees_or_refuses(expression, "snowflake", same_rows)


@pytest.mark.spark
@settings(max_examples=60, suppress_health_check=SLOW)
@given(expression=expressions())
def test_an_expression_on_spark_is_right_or_refused(expression: str, same_rows: Comparison) -> None:
    from pyspark.errors import PySparkException

    try:
        agrees_or_refuses(expression, "spark", same_rows)
    except PySparkException:
        return
