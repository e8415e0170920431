"""The scripts run: what an emulator can of them, and every task's body on the rows of a real lake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from infra.snowflake.tasks import FOLDER
from infra.validators.snowflake import statements, task_body
from lake.tables import MARTS, SILVER
from sql.engines.snowflake import SnowflakeEngine
from tests.e2e.conftest import SMALL, Cli
from tests.sql.conftest import fake_snowflake

pytestmark = [
    pytest.mark.e2e,
    # Of fakesnow's own way with DuckDB.
    pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result makes an extra copy:UserWarning"),
]
# What fakesnow runs; roles, grants, integrations, volumes, warehouses and tasks are things of an account.
RUNS = (
    "CREATE DATABASE", "CREATE SCHEMA", "CREATE FILE FORMAT", "CREATE TABLE", "CREATE OR REPLACE VIEW", "USE DATABASE",
)  # fmt: skip


def runnable(script: str) -> list[str]:
    return [text for _, text in statements(FOLDER / script) if text.startswith(RUNS)]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An emulated account after setup.sql, with silver and the published gold of a lake in place of the mirror's."""
    cli = Cli(tmp_path_factory.mktemp("lake"), dict(SMALL))
    for command in ("generate", "land", "build"):
        cli(command)
    lake = cli.folder / "data" / "lake"
    with fake_snowflake() as settings, SnowflakeEngine(settings) as engine:
        for table in (*SILVER, *MARTS):
            engine.register(table, [Path(uri) for uri in _files(lake / table.layer / table.name)])
        run = engine._execute
        for statement in runnable("setup.sql"):
            run(statement)
        for mart in MARTS:
            run(f"CREATE TABLE published.{mart.name} AS SELECT * FROM gold.{mart.name}")
            run(f"DROP TABLE gold.{mart.name}")
        yield run


def _files(table: Path) -> list[str]:
    if not (table / "_delta_log").exists():
        return []
    return [uri.removeprefix("file://") for uri in DeltaTable(table).file_uris()]


def bodies(start: str) -> list[str]:
    found = [task_body(text) or "" for _, text in statements(FOLDER / "tasks.sql")]
    return [body for body in found if body.startswith(start)]


def test_the_tasks_build_the_marts_that_the_lake_published(account: Any) -> None:
    for start in ("INSERT INTO ops.builds", "CREATE OR REPLACE TABLE", "INSERT INTO ops.parity"):
        for body in bodies(start):
            account(body)
    found = {mart: (rows, differing) for mart, rows, differing in account(
        "SELECT mart, built, differing FROM ops.parity"
    ).fetchall()}  # fmt: skip
    assert found.keys() == {mart.name for mart in MARTS}
    assert all(rows > 0 and differing == 0 for rows, differing in found.values()), found
    assert account("SELECT COUNT(*) FROM ops.builds").fetchone() == (1,)


def test_readers_see_the_marts_through_views(account: Any) -> None:
    for statement in runnable("tables.sql"):
        if any(f"marts.{mart.name} AS" in statement for mart in MARTS):
            account(statement)
    for mart in MARTS:
        seen, there = (account(f"SELECT COUNT(*) FROM {s}.{mart.name}").fetchone() for s in ("marts", "published"))
        assert seen == there
        assert seen[0] > 0


def test_monitoring_tells_a_mart_that_differs_and_is_silent_before(account: Any) -> None:
    queries = [text for _, text in statements(FOLDER / "monitoring.sql") if text.startswith("SELECT")]
    parity = next(text for text in queries if "FROM ops.parity" in text)
    compare = next(body for body in bodies("INSERT INTO ops.parity") if "'revenue'" in body)
    account(compare)
    assert account(parity).fetchall() == []
    account("UPDATE published.revenue SET collected = collected + 1 WHERE collected > 0")
    account(compare)
    ((mart, _, _, differing),) = account(parity).fetchall()
    assert mart == "revenue"
    assert differing > 0


def test_monitoring_tells_that_nothing_was_built_for_a_day(account: Any) -> None:
    stale = next(t for _, t in statements(FOLDER / "monitoring.sql") if "FROM ops.builds" in t)
    account("DELETE FROM ops.builds")
    assert len(account(stale).fetchall()) == 1
    account("INSERT INTO ops.builds (started_at) SELECT CURRENT_TIMESTAMP()")
    assert account(stale).fetchall() == []
