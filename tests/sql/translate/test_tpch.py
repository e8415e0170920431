"""The 22 queries of TPC-H, written in DuckDB's dialect, give DuckDB's rows on every target."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tests.sql.translate.conftest import TARGETS, Comparison

QUERIES = sorted((Path(__file__).parents[1] / "tpch").glob("q*.sql"))


def test_there_are_twenty_two_queries() -> None:
    assert [query.stem for query in QUERIES] == [f"q{number:02}" for number in range(1, 23)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.stem)
def test_rows_of_tpch_are_those_of_duckdb(
    query: Path, target: str, same_rows: Comparison, tpch: dict[str, pa.Table]
) -> None:
    same_rows(query.read_text(), tpch, target, where=str(query))
