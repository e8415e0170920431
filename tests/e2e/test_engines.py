"""The same flow on other engines: same gates, same gold, and a warehouse file that anybody can open."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lake.tables import MARTS
from sql.compare import difference
from tests.e2e.conftest import Cli

pytestmark = pytest.mark.e2e


def copied(built: Cli, folder: Path) -> Cli:
    shutil.copytree(built.folder / "data", folder / "data", ignore=shutil.ignore_patterns("prefect"))
    return Cli(folder, dict(built.settings))


@pytest.mark.parametrize(
    "engine",
    ["sqlite", "sail", "snowflake", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.timeout(600)])],
)
def test_the_same_gold_comes_from_every_engine(
    built: Cli, emulator: dict[str, str], tmp_path: Path, engine: str
) -> None:
    cli = copied(built, tmp_path)
    cli.settings |= emulator
    cli("build", "--engine", engine)
    for mart in MARTS:
        path = cli.folder / "data/lake/gold" / mart.name
        before, after = (pq.ParquetDataset(DeltaTable(path, version=version).file_uris()).read() for version in (0, 1))
        assert difference(before, after, mart.key) is None, mart.name
        assert cli.json("history", mart.full_name)[0]["record"]["engine"] == engine
    assert "up to date" in cli("build", "--engine", engine).stdout


def test_sqlite_leaves_a_warehouse_that_any_client_opens(built: Cli, tmp_path: Path) -> None:
    cli = copied(built, tmp_path)
    cli("build", "--engine", "sqlite")
    rows = {t["table"]: t["rows"] for t in cli.json("tables")}
    with closing(sqlite3.connect(tmp_path / "data/warehouse/lakehouse.sqlite")) as client:
        tables = [name for (name,) in client.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert len(tables) == 34
        for name in tables:
            layer, _, table = name.partition("_")
            count = client.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            assert count == rows[f"{layer}.{table}"], name
        collected = client.execute("SELECT collected FROM gold_revenue ORDER BY revenue_month DESC LIMIT 1").fetchone()
        assert collected[0] == cli.json("show", "gold.revenue", "--limit", "100")[-1]["collected"]


def test_an_engine_that_cannot_be_used_is_one_line(empty: Cli) -> None:
    missing = empty("build", "--engine", "snowflake", code=2)
    assert "LAKEHOUSE_SNOWFLAKE__ACCOUNT" in missing.stderr
    wrong = empty("run", "--engine", "oracle", code=2)
    assert "duckdb" in wrong.stderr + wrong.stdout


def test_diff_compares_engines_and_versions(built: Cli, tmp_path: Path) -> None:
    cli = copied(built, tmp_path)
    same = cli("sql", "diff", "gold.revenue", "--between", "duckdb,sqlite")
    assert "no difference" in same.stdout
    header = "refund_id,payment_id,refunded_at,amount,reason\n"
    payment = cli.json("show", "silver.payments", "--where", "is_successful", "--limit", "1")[0]
    cli.drop("refunds", "late.csv", f"{header}extra,{payment['payment_id']},2025-06-01T00:00Z,1.00,mistake\n")
    cli("land")
    cli("build")
    found = cli("sql", "diff", "gold.revenue", "--between", "0,1", code=11)
    assert "refunded differs in 1 of" in found.stdout
    assert "has no version 7" in cli("sql", "diff", "gold.revenue", "--between", "0,7", code=4).stderr
    assert "write it like" in cli("sql", "diff", "gold.revenue", "--between", "0", code=4).stderr
