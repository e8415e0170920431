"""Every engine a SELECT is carried to, each started once, and one check that their rows are DuckDB's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fakesnow
import pyarrow as pa
import pytest
import snowflake.connector
from sqlglot import exp, parse_one

from spark.session import spark_session
from sql.translate import Translated, translate
from tests.sql.translate.engines import DuckDB, Engine, Snowflake, Spark, SQLite, same_value, sort_key

SameRows = Callable[..., Translated]


@pytest.fixture(scope="session")
def duck() -> DuckDB:
    return DuckDB()


@pytest.fixture(scope="session")
def sqlite_engine() -> SQLite:
    return SQLite()


@pytest.fixture(scope="session")
def snowflake_engine() -> Iterator[Snowflake]:
    with fakesnow.patch():
        yield Snowflake(snowflake.connector.connect(database="db", schema="public"))


@pytest.fixture(scope="module")
def spark_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    directory = tmp_path_factory.mktemp("spark")
    with spark_session(directory) as session:
        session.sparkContext.setLogLevel("OFF")
        yield Spark(session, directory)


class Comparison:
    """Runs a SELECT on DuckDB, its translation elsewhere, and compares every row.

    Args:
        duck: Where the right rows come from.
        request: To start an engine when it is first asked for.
    """

    def __init__(self, duck: DuckDB, request: pytest.FixtureRequest) -> None:
        self._duck = duck
        self._request = request
        # Table by engine and name: what is loaded already stays.
        self._loaded: dict[tuple[str, str], pa.Table] = {}

    def __call__(self, select: str, tables: Mapping[str, pa.Table], target: str, *, where: str = "query") -> Translated:
        for name, table in tables.items():
            self._load("duckdb", self._duck, name, table)
        translated = translate(select, target, {name: self._duck.types(name) for name in tables}, where=where)
        engine = self.engine(target)
        for name, table in tables.items():
            self._load(target, engine, name, table)
        answer = self._duck.answer(select)
        expected = list(zip(*(column.to_pylist() for column in answer.columns), strict=True))
        found = engine.rows(translated.sql, answer.schema.types)
        if not (isinstance(tree := parse_one(select, dialect="duckdb"), exp.Query) and tree.args.get("order")):
            expected, found = sorted(expected, key=sort_key), sorted(found, key=sort_key)
        assert len(expected) == len(found), f"{len(found)} rows, DuckDB has {len(expected)}\n{translated.sql}"
        for number, (right, row) in enumerate(zip(expected, found, strict=True)):
            is_same = len(right) == len(row) and all(map(same_value, right, row))
            assert is_same, f"row {number}\nDuckDB: {right}\n{target}: {row}\n{translated.sql}"
        return translated

    def engine(self, target: str) -> Engine:
        engine: Engine = self._request.getfixturevalue(f"{target}_engine")
        return engine

    def _load(self, key: str, engine: Any, name: str, table: pa.Table) -> None:
        if self._loaded.get((key, name)) is not table:
            engine.load(name, table)
            self._loaded[key, name] = table


@pytest.fixture(scope="module")
def same_rows(duck: DuckDB, request: pytest.FixtureRequest) -> Comparison:
    return Comparison(duck, request)


TARGETS = [
    "sqlite",
    "snowflake",
    pytest.param("spark", marks=pytest.mark.spark),
]


@pytest.fixture(scope="session")
def tpch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """The eight TPC-H tables at scale factor 0.01."""
    import subprocess

    import pyarrow.parquet as pq

    directory = tmp_path_factory.mktemp("tpch")
    program = Path(sys.executable).with_name("tpchgen-cli")
    command = [str(program), "parquet", "-s", "0.01", "--output-dir", str(directory)]
    subprocess.run(command, check=True, capture_output=True)
    return {file.stem: _plain(pq.read_table(file)) for file in sorted(directory.glob("*.parquet"))}


def _plain(table: pa.Table) -> pa.Table:
    """Text as plain strings: Parquet brings views of them."""
    fields = [f.with_type(pa.string()) if pa.types.is_string_view(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))
