"""Card transactions from outside: fed, landed as files, judged on every engine, evaluated, and killed on the way."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from lake.lake import Lake
from lake.tables import ANOMALIES, BRONZE_TRANSACTIONS
from spark.java import find_java
from tests.e2e.conftest import EMPTY, Cli
from tests.lake.conftest import append_pending

pytestmark = pytest.mark.e2e

COUNT = "20000"
# Enough of everything in so few rows.
FEED = {
    **EMPTY,
    "LAKEHOUSE_TRANSACTIONS__BURST_SHARE": "0.005",
    "LAKEHOUSE_TRANSACTIONS__BUSY_DAY_SHARE": "0.003",
    "LAKEHOUSE_TRANSACTIONS__DECOY_SHARE": "0.01",
}
STAMP = ["detected_at", "run_id", "source_version"]
RULES_BY_DEFINITION = ("velocity", "very_high_amount", "frequency")
HEADER = "transaction_id,account_id,merchant_id,category,occurred_at,amount,currency,channel\n"


def rows(cli: Cli, table: str) -> pl.DataFrame:
    path = cli.folder / "data" / "lake" / table.replace(".", "/")
    frame = pl.DataFrame(DeltaTable(path).to_pyarrow_table()).drop(STAMP, strict=False)
    return frame.sort(frame.columns[0])


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A lake in which one command generated, landed, judged and evaluated transactions, on the engine without Java."""
    cli = Cli(tmp_path_factory.mktemp("judged"), dict(FEED))
    cli.summary = cli.json("transactions", "run", "--count", COUNT, "--engine", "sail")
    return cli


def test_one_command_finds_all_that_is_injected_by_definition(judged: Cli) -> None:
    evaluation = judged.summary["evaluation"]
    lines = {line["rule"]: line for line in evaluation["rules"]}
    for rule in RULES_BY_DEFINITION:
        assert lines[rule]["injected"] > 0
        assert (lines[rule]["precision"]["value"], lines[rule]["recall"]["value"]) == (1.0, 1.0), rule
    assert evaluation["decoys_flagged"] == 0
    assert {t["table"] for t in judged.summary["tables"]} >= {table.full_name for table in ANOMALIES}


def test_figures_and_picture_lie_in_the_exports(judged: Cli) -> None:
    exports = judged.folder / "data" / "exports"
    assert (exports / "anomaly_evaluation.png").read_bytes().startswith(b"\x89PNG")
    assert judged.json("transactions", "evaluate") == judged.summary["evaluation"]
    assert len(pl.read_csv(exports / "transaction_anomalies.csv")) == len(rows(judged, "gold.transaction_anomalies"))


def test_running_again_publishes_nothing(judged: Cli) -> None:
    versions = {t.full_name: DeltaTable(judged.folder / "data/lake/gold" / t.name).version() for t in ANOMALIES}
    again = judged.json("transactions", "run", "--count", COUNT, "--engine", "sail")
    assert again["balance"] == []
    assert {t["table"]: t["version"] for t in again["tables"] if t["table"] in versions} == versions


def test_other_generated_transactions_are_refused_beside_the_first(judged: Cli) -> None:
    done = judged("transactions", "run", "--count", "30000", "--engine", "sail", code=4)
    assert "would repeat their ids" in done.stderr


def test_the_road_does_not_matter_rows_from_a_csv_file_give_the_same_flags(judged: Cli, empty: Cli) -> None:
    empty.settings.update(FEED, LAKEHOUSE_TRANSACTIONS__ENABLED="false")
    empty("transactions", "generate", "--count", COUNT, "--output", "data/feed.csv")
    inbox = empty.folder / "data" / "inbox" / "transactions"
    inbox.mkdir(parents=True)
    (empty.folder / "data" / "feed.csv").rename(inbox / "feed.csv")
    empty("transactions", "run", "--engine", "sail")
    for table in ANOMALIES:
        assert rows(empty, table.full_name).equals(rows(judged, table.full_name)), table.full_name
    evaluation = empty.json("transactions", "evaluate", "--truth", "data/feed.truth.parquet")
    assert evaluation["rules"] == judged.summary["evaluation"]["rules"]


@pytest.mark.spark
@pytest.mark.skipif(find_java() is None, reason="needs Java")
@pytest.mark.parametrize("engine", ["spark", "connect"])
def test_every_engine_flags_the_same(judged: Cli, tmp_path: Path, engine: str) -> None:
    cli = Cli(tmp_path, dict(EMPTY))
    shutil.copytree(judged.folder / "data" / "lake", tmp_path / "data" / "lake")
    shutil.rmtree(tmp_path / "data" / "lake" / "gold")
    cli("transactions", "detect", "--engine", engine)
    for table in ANOMALIES:
        ours, theirs = rows(cli, table.full_name), rows(judged, table.full_name)
        assert ours.select(pl.exclude(pl.Float64)).equals(theirs.select(pl.exclude(pl.Float64))), table.full_name
        for name in ours.select(pl.col(pl.Float64)).columns:
            assert (ours[name] - theirs[name]).abs().max() in (None, pytest.approx(0, abs=1e-6)), (
                table.full_name,
                name,
            )


def test_bad_rows_are_quarantined_with_reasons_and_the_rest_is_judged(empty: Cli) -> None:
    empty.settings["LAKEHOUSE_TRANSACTIONS__ENABLED"] = "false"
    empty.settings["LAKEHOUSE_GATES__MAX_QUARANTINED_SHARE"] = "0.9"
    good = [f"t{i},a1,m1,grocery,2026-01-{i + 1:02d}T12:00:00Z,10.00,EUR,online" for i in range(12)]
    very_high = "t50,a1,m1,grocery,2026-01-20T12:00:00Z,10000.01,EUR,online"
    bad = {
        "t90,a1,m1,grocery,2026-01-01T12:00:00,1.00,EUR,online": "occurred_at",
        "t91,a1,m1,grocery,2026-01-01T12:00:00Z,NaN,EUR,online": "amount",
        "t92,a1,m1,grocery,2026-01-01T12:00:00Z,-1.00,EUR,online": "amount_out_of_range",
        ",a1,m1,grocery,2026-01-01T12:00:00Z,1.00,EUR,online": "transaction_id_missing",
    }
    twice = good[0].replace("10.00", "11.00")
    empty.drop("transactions", "own.csv", HEADER + "\n".join([*good, very_high, *bad, twice]) + "\n")
    balance = {row["table"]: row for row in empty.json("transactions", "run", "--engine", "sail")["balance"]}
    assert balance["bronze.transactions"]["quarantined"] + balance["silver.transactions"]["quarantined"] == len(bad)
    assert balance["silver.transactions"]["duplicates"] == 1
    reasons = " ".join(str(row["rules"]) for row in empty.json("quarantine", "list"))
    assert all(reason in reasons for reason in bad.values()), reasons
    flagged = rows(empty, "gold.transaction_anomalies")
    assert flagged["transaction_id"].to_list() == ["t50"]
    assert flagged["rules"].to_list() == [["high_amount", "very_high_amount"]]


def test_rows_over_http_and_files_beside_them_come_to_silver_and_gold_in_one_run(empty: Cli) -> None:
    empty.settings["LAKEHOUSE_TRANSACTIONS__ENABLED"] = "false"
    lake = Lake(empty.folder / "data" / "lake")
    lake.prepare()
    texts = {"account_id": "a1", "merchant_id": "m1", "category": "grocery", "currency": "EUR", "channel": "online"}
    good: dict[str, Any] = {"occurred_at": datetime(2026, 1, 20, 12, tzinfo=UTC), **texts}
    append_pending(lake, BRONZE_TRANSACTIONS, ["h1", "h2"], amount=Decimal("10000.01"), **good)
    history = empty.json("history", "bronze.transactions")
    assert [line["record"]["outcome"] for line in history] == ["PENDING"]
    assert "waits for the gate" in empty("history", "bronze.transactions").stdout
    empty.drop("transactions", "own.csv", HEADER + "f1,a1,m1,grocery,2026-01-20T12:00:00Z,10.00,EUR,online\n")
    summary = empty.json("transactions", "run", "--engine", "sail")
    assert {"check bronze.transactions", "admit bronze"} <= {line["name"] for line in summary["steps"]}
    assert [row["published"] for row in summary["balance"] if row["table"] == "bronze.transactions"] == [1, 2]
    assert rows(empty, "silver.transactions")["transaction_id"].to_list() == ["f1", "h1", "h2"]
    assert rows(empty, "gold.transaction_anomalies")["transaction_id"].to_list() == ["h1", "h2"]
    assert empty.json("check", "bronze.transactions")[0]["rows_tested"] == 3
    append_pending(lake, BRONZE_TRANSACTIONS, ["h3"], amount=Decimal("1.00"), **good)
    assert [row["published"] for row in empty.json("land")] == [1]
    assert [row["transaction_id"] for row in empty.json("show", "bronze.transactions")] == ["f1", "h1", "h2", "h3"]
    done = {line["table"]: line for line in empty.json("maintain")}
    assert done["bronze.transactions"]["compacted"] == 3
    assert len(empty.json("show", "bronze.transactions")) == 4


def test_there_is_nothing_to_judge_before_transactions_land(empty: Cli) -> None:
    done = empty("transactions", "detect", "--engine", "sail", code=4)
    assert "no transactions to judge" in done.stderr
    assert "transactions run" in done.stderr


@pytest.mark.parametrize(
    ("engine", "settings", "code", "says"),
    [
        ("spark", {"JAVA_HOME": "/nowhere"}, 8, "Spark needs Java"),
        ("connect", {"LAKEHOUSE_DETECT__REMOTE": "sc://127.0.0.1:1"}, 4, "no Spark Connect server answers"),
    ],
)
def test_an_engine_that_is_not_there_is_told_in_a_line_and_gold_stays(
    judged: Cli, engine: str, settings: dict[str, str], code: int, says: str
) -> None:
    before = {t.full_name: rows(judged, t.full_name) for t in ANOMALIES}
    # Under other rules there is something to do.
    settings = settings | {"LAKEHOUSE_DETECT__VERY_HIGH_AMOUNT": "123.00"}
    done = judged("transactions", "detect", "--engine", engine, code=code, **settings)
    assert says in done.stderr
    assert all(rows(judged, name).equals(frame) for name, frame in before.items())


def test_generated_files_end_in_csv_or_parquet(empty: Cli) -> None:
    done = empty("transactions", "generate", "--count", "1000", "--output", "feed.xlsx", code=4)
    assert ".csv" in done.stderr
    done = empty("transactions", "generate", "--count", "3", code=2)
    assert "--count" in done.stderr


def test_a_driver_killed_while_it_judges_leaves_the_last_gold_and_the_next_run_ends_right(
    judged: Cli, tmp_path: Path
) -> None:
    cli = Cli(tmp_path, dict(EMPTY))
    shutil.copytree(judged.folder / "data" / "lake", tmp_path / "data" / "lake")
    before = {t.full_name: rows(cli, t.full_name) for t in ANOMALIES}
    changed: dict[str, Any] = {"LAKEHOUSE_DETECT__VERY_HIGH_AMOUNT": "20000.00"}
    _kill_while_it_detects(cli, changed)
    assert all(rows(cli, name).equals(frame) for name, frame in before.items())
    cli("transactions", "detect", "--engine", "sail", **changed)
    flagged = rows(cli, "gold.transaction_anomalies").filter(pl.col("rules").list.contains("very_high_amount"))
    assert min(flagged["amount"].to_list()) > 20_000
    assert not list((tmp_path / "data" / "lake").glob("_staging/*"))


def _kill_while_it_detects(cli: Cli, settings: dict[str, str]) -> None:
    process = subprocess.Popen(
        cli.command("transactions", "detect", "--engine", "sail"), cwd=cli.folder, env=cli.environment(**settings),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list((cli.folder / "data" / "lake").glob("_staging/*/detection/*/*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
