"""One command makes a lake whose rows balance, whose numbers match the ground truth, and that any engine reads."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import polars as pl
import pytest
from deltalake import DeltaTable

from lake.tables import COMPANY, COMPANY_SILVER, MARTS
from spark.session import spark_session
from tests.e2e.conftest import PROJECT, Cli

pytestmark = pytest.mark.e2e
MEDALLION = [t.full_name for t in COMPANY]


def report(cli: Cli) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((cli.folder / "data/exports/quality_report.json").read_text())
    return loaded


def test_every_table_is_published_through_its_gate(built: Cli) -> None:
    tables = {t["table"]: t for t in built.json("tables")}
    assert set(MEDALLION) <= set(tables)
    assert {tables[name]["outcome"] for name in MEDALLION} <= {"PASSED", "WARN"}
    assert all(tables[t.full_name]["rows"] > 0 for t in (*COMPANY_SILVER, *MARTS))


def test_rows_balance_and_match_the_ground_truth_of_the_generator(built: Cli) -> None:
    truth = json.loads((built.folder / "data/inbox/_ground_truth.json").read_text())["tables"]
    for entry in report(built)["tables"]:  # type: ignore[attr-defined]
        balance = entry["balance"]
        assert balance["received"] == balance["published"] + balance["duplicates"] + balance["quarantined"]
        layer, _, name = entry["table"].partition(".")
        if layer == "silver":
            assert balance == truth[name]["silver"], name
        if layer == "bronze":
            assert balance["published"] == truth[name]["rows_total"], name


def test_the_quality_report_follows_its_schema_and_holds_every_check(built: Cli) -> None:
    content = report(built)
    jsonschema.validate(content, json.loads((PROJECT / "docs/quality_report.schema.json").read_text()))
    entries = content["tables"]
    assert [e["table"] for e in entries] == MEDALLION  # type: ignore[attr-defined]
    assert all(e["checks"] for e in entries)  # type: ignore[attr-defined]


def test_the_experiments_are_told_apart(built: Cli) -> None:
    rows = {r["experiment_id"]: r for r in built.json("show", "gold.experiment_performance")}
    assert rows["exp_checkout_button"]["relative_lift"] > 0
    assert not any(r["has_sample_ratio_mismatch"] for r in rows.values())
    assert not rows["exp_onboarding_video"]["is_significant"]


def test_revenue_moves_by_its_movements(built: Cli) -> None:
    end = 0.0
    for row in built.json("show", "gold.revenue", "--limit", "100"):
        assert float(row["mrr_start"]) == end
        end = float(row["mrr_end"])
    assert end > 0


def test_exports_are_the_marts_and_no_spreadsheet_formula(built: Cli) -> None:
    for mart in MARTS:
        with (built.folder / f"data/exports/{mart.name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        shown = {t["table"]: t["rows"] for t in built.json("tables")}
        assert len(rows) == shown[mart.full_name]
        assert list(rows[0]) == list(mart.column_names)
        numeric = {c.name for c in mart.columns if str(c.type) not in ("string",)}
        texts = [v for row in rows for k, v in row.items() if k not in numeric and v]
        assert not [t for t in texts if t[0] in "=+-@\t\r"]


def test_deltalake_polars_and_duckdb_read_the_same_rows(built: Cli) -> None:
    path = str(built.folder / "data/lake/silver/payments")
    delta = DeltaTable(path)
    frame = pl.read_delta(path)
    files = delta.file_uris()
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT count(*), sum(amount) FROM read_parquet({files!r})").fetchall()[0]
    assert (delta.count(), frame.height) == (frame.height, found[0])
    assert frame["amount"].sum() == found[1]
    assert frame.schema["amount"] == pl.Decimal(18, 2)
    assert frame.schema["paid_at"] == pl.Datetime("us", "UTC")


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Apache Spark with delta-spark."""
    with spark_session(tmp_path_factory.mktemp("spark")) as session:
        yield session


@pytest.mark.spark
def test_delta_spark_reads_the_lake(built: Cli, spark: Any) -> None:
    for name in ("silver/payments", "gold/revenue", "bronze/events", "quarantine/silver_payments"):
        path = str(built.folder / "data/lake" / name)
        assert spark.read.format("delta").load(path).count() == DeltaTable(path).count(), name
    payments = str(built.folder / "data/lake/silver/payments")
    total = spark.read.format("delta").load(payments).selectExpr("sum(amount)").collect()[0][0]
    assert total == pl.read_delta(payments)["amount"].sum()


@pytest.mark.spark
def test_rows_that_delta_spark_writes_past_the_gate_are_not_read_until_restored(
    built: Cli, spark: Any, tmp_path: Path
) -> None:
    cli = Cli(tmp_path, built.settings)
    shutil.copytree(built.folder / "data/lake", tmp_path / "data/lake")
    path = str(tmp_path / "data/lake/silver/plans")
    frame = spark.read.format("delta").load(path)
    frame.limit(1).write.format("delta").mode("append").save(path)
    assert DeltaTable(path).count() == 4
    assert len(cli.json("show", "silver.plans")) == 3
    assert cli.json("history", "silver.plans")[0]["record"] is None
    cli("restore", "silver.plans")
    assert DeltaTable(path).count() == len(cli.json("show", "silver.plans")) == 3


def test_history_says_what_let_a_version_in(built: Cli) -> None:
    versions = built.json("history", "gold.daily_kpis")
    assert len(versions) == 1
    record = versions[0]["record"]
    assert record["outcome"] in ("PASSED", "WARN")
    assert len(record["contract_hash"]) == 64
    assert set(record["sources"]) >= {"silver.events", "silver.users"}


def test_what_people_typed_is_shown_as_typed(empty: Cli) -> None:
    header = "channel_id,name,kind\n"
    empty.drop("marketing_channels", "a.csv", header + "c1,[bold]x[/bold] [/] :smile:,paid\n")
    empty("land")
    assert "[bold]x[/bold] [/] :smile:" in empty("show", "bronze.marketing_channels").stdout


def test_a_run_says_what_the_marts_say(built: Cli) -> None:
    headlines = {h["subject"]: h for h in built.summary["headlines"]}
    revenue = built.json("show", "gold.revenue", "--limit", "100")[-1]
    assert headlines["MRR"]["value"] == f"{float(revenue['mrr_end']):,.0f}"
    experiments = {e["experiment_id"]: e for e in built.json("show", "gold.experiment_performance")}
    for name, experiment in experiments.items():
        assert headlines[name]["value"] == f"{100 * experiment['absolute_lift']:+.1f} points"


def test_a_second_run_changes_nothing(small: Cli) -> None:
    small("run")
    before = {t["table"]: t["version"] for t in small.json("tables") if not t["table"].startswith("audit.")}
    summary = small.json("run")
    assert summary["balance"] == []
    assert {t["table"]: t["version"] for t in small.json("tables") if not t["table"].startswith("audit.")} == before


def test_the_same_seed_gives_the_same_exports(built: Cli, small: Cli) -> None:
    small("run")
    for mart in MARTS:
        name = f"data/exports/{mart.name}.csv"
        assert (small.folder / name).read_bytes() == (built.folder / name).read_bytes(), mart.name


def test_looking_at_a_lake_changes_nothing(built: Cli) -> None:
    def state() -> dict[str, float]:
        return {str(p): p.stat().st_mtime for p in (built.folder / "data/lake").rglob("*") if "staging" not in str(p)}

    before = state()
    for command in (["tables"], ["check"], ["history", "silver.users"], ["quarantine", "list"], ["doctor"]):
        built(*command)
    assert state() == before


def test_plain_commands_do_what_run_does(small: Cli, built: Cli) -> None:
    small("generate")
    small("land")
    small("build")
    small("export")
    ours = (small.folder / "data/exports/revenue.csv").read_bytes()
    assert ours == (built.folder / "data/exports/revenue.csv").read_bytes()


def test_help_lists_every_command_and_each_has_an_example(empty: Cli) -> None:
    text = empty("--help").stdout
    for command in ("run", "generate", "land", "build", "check", "export", "tables", "show", "history", "doctor"):
        assert command in text
        assert "./lakehouse" in empty(command, "--help").stdout, command


def test_no_color_codes_and_no_cut_columns_in_a_log(built: Cli) -> None:
    text = built("tables").stdout
    assert "\x1b" not in text
    assert "…" not in text
    assert text.startswith("Tables")
