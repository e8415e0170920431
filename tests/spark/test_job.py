"""The job as others run it: three formats in, four tables out whole or not at all, and errors a person can mend."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.errors import BadInputError, LakeBusyError, StorageError
from lake.rules import AnomalyRules
from lake.settings import PROJECT_ROOT
from lake.tables.anomalies import ANOMALIES
from spark.detect_anomalies import TABLES, main
from spark.installation import spark_environment, spark_submit
from spark.jars import delta_jars
from spark.job.rules_file import read_rules
from tests.spark.job_runs import AT, BURST, CONTRACTS, STAMPS, as_csv, published, stored, table, versions, with_value
from tests.spark.worlds import as_table, drawn, packed, worlds

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCRIPT = PROJECT_ROOT / "spark" / "detect_anomalies.py"
SUBMIT_S = 120


def test_the_job_needs_nothing_beside_pyspark_to_start() -> None:
    heavy = "pydantic", "pyarrow", "deltalake", "duckdb", "pandas", "numpy", "yaml", "soda_core", "pyspark"
    program = f"""
import sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
import detect_anomalies
detect_anomalies.parse(["--input", "in", "--output", "out"])
sys.exit(" ".join(name for name in {heavy!r} if name in sys.modules))
"""
    # Started elsewhere and with the script's folder alone on the path, as spark-submit does.
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (1, "\n"), ended.stderr


def test_the_whole_job_imports_no_package_of_the_platform() -> None:
    program = f"""
import sys
sys.path.insert(0, {str(PROJECT_ROOT)!r})
import spark.detect_anomalies, spark.detection, spark.job.checking, spark.job.publishing, spark.session
sys.exit(" ".join(name for name in ("pydantic", "deltalake", "duckdb", "polars", "prefect") if name in sys.modules))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (1, "\n"), ended.stderr


def test_tables_have_the_declared_columns_and_the_stamp_of_the_run(
    sail: SparkSession, place: Path, tmp_path: Path
) -> None:
    lines = published(sail, stored(place), tmp_path / "out")
    assert lines == [
        "transaction_anomalies: 11 rows", "daily_transaction_summary: 1 rows", "merchant_summary: 1 rows",
        "account_summary: 1 rows", "velocity: 1 fired",
    ]  # fmt: skip
    for declared in ANOMALIES:
        rows = pa.table(DeltaTable(tmp_path / "out" / declared.name).to_pyarrow_table())
        assert rows.column_names == [column.name for column in declared.columns]
        assert [f.type for f in rows.schema] == [column.type for column in declared.columns]
        stamps = rows.select(STAMPS).to_pylist()[0]
        assert stamps == {"detected_at": AT, "run_id": "detect-20260501T123000250000Z", "source_version": 0}


def test_csv_parquet_and_delta_give_the_same_tables_and_extra_columns_change_nothing(
    sail: SparkSession, tmp_path: Path
) -> None:
    rows = as_table(packed(drawn(worlds(), 30)))
    extra = rows.append_column("note", pa.array(['a, "quoted" word'] * rows.num_rows))
    write_deltalake(tmp_path / "delta", rows)
    sources = {
        "delta": tmp_path / "delta",
        "parquet": stored(tmp_path / "rows.parquet", extra),
        "csv": as_csv(tmp_path / "rows.csv", extra),
    }
    for name, source in sources.items():
        published(sail, source, tmp_path / f"out-{name}")
    for name in TABLES:
        expected = table(tmp_path / "out-delta", name)
        assert expected.num_rows > 5
        for kind in ("parquet", "csv"):
            assert table(tmp_path / f"out-{kind}", name).equals(expected), (name, kind)


def test_of_a_delta_table_one_version_is_judged_the_latest_unless_told(sail: SparkSession, tmp_path: Path) -> None:
    write_deltalake(tmp_path / "in", as_table(BURST[:3]))
    write_deltalake(tmp_path / "in", as_table(BURST[3:]), mode="append")

    def judged(version: int | None) -> tuple[int, int]:
        published(sail, tmp_path / "in", tmp_path / "out", version=version)
        row = DeltaTable(tmp_path / "out" / "account_summary").to_pyarrow_table().to_pylist()[0]
        return row["source_version"], row["transactions"]

    assert [judged(None), judged(0), judged(1)] == [(1, 11), (0, 3), (1, 11)]
    with pytest.raises(BadInputError, match="at version 7"):
        judged(7)


def test_the_next_run_replaces_the_rows_and_removes_what_a_killed_one_staged(
    sail: SparkSession, place: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    published(sail, stored(place), output)
    left = output / "_staging" / "detect-killed" / "transaction_anomalies"
    left.mkdir(parents=True)
    (left / "part-0.parquet").write_bytes(b"half")
    published(sail, stored(place, BURST[:4]), output, at=datetime(2026, 5, 2, tzinfo=UTC))
    assert versions(output) == dict.fromkeys(TABLES, 1)
    assert table(output, "transaction_anomalies").num_rows == 0
    assert table(output, "account_summary").column("transactions").to_pylist() == [4]
    assert [file.name for file in (output / "_staging").iterdir()] == ["lock"]


def test_one_run_at_a_time_writes_to_an_output(sail: SparkSession, place: Path, tmp_path: Path) -> None:
    staging = tmp_path / "out" / "_staging"
    staging.mkdir(parents=True)
    with (staging / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LakeBusyError, match="another run"):
            published(sail, stored(place), tmp_path / "out")
    published(sail, stored(place), tmp_path / "out")


def test_an_output_that_cannot_be_written_is_told(sail: SparkSession, place: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written") as refused:
        published(sail, stored(place), tmp_path / "file" / "out")
    assert refused.value.where == str(tmp_path / "file" / "out")


def test_nothing_is_published_where_one_of_the_four_places_holds_something_else(
    sail: SparkSession, place: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    published(sail, stored(place), output)
    (tmp_path / "away").mkdir()
    for name, wrong, told in (
        ("merchant_summary", lambda at: (at.mkdir(), (at / "notes.txt").write_text("mine")), "is no Delta table"),
        ("transaction_anomalies", lambda at: write_deltalake(at, pa.table({"x": [1]})), "has other columns: x bigint"),
    ):
        (output / name).rename(tmp_path / "away" / name)
        wrong(output / name)
        with pytest.raises(StorageError, match=told):
            published(sail, place, output)
        assert DeltaTable(output / "account_summary").version() == 0
        (output / name).rename(tmp_path / "away" / f"wrong-{name}")
        (tmp_path / "away" / name).rename(output / name)


def test_thresholds_of_a_file_replace_the_declared_ones(sail: SparkSession, place: Path, tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(
        '{"velocity_count": 3, "zero_spread_ratio": 1.005, "very_high_amount": "0.99", "amount_method": "mad"}'
    )
    rules = read_rules(file)
    assert rules == AnomalyRules(
        velocity_count=3, zero_spread_ratio=Decimal("1.005"), very_high_amount=Decimal("0.99"), amount_method="mad"  # type: ignore[arg-type]
    )  # fmt: skip
    published(sail, stored(place), tmp_path / "out", rules=rules)
    found = table(tmp_path / "out", "transaction_anomalies").column("rules").to_pylist()
    assert found == [["very_high_amount"]] * 3 + [["velocity", "very_high_amount"]] * 8


def test_the_job_runs_on_a_connect_server_and_tells_what_it_found(place: Path, tmp_path: Path) -> None:
    from pysail.spark import SparkConnectServer

    def job(source: Path) -> subprocess.CompletedProcess[str]:
        # In a process of its own: of two remote sessions in one, the first to end makes functions classic again.
        arguments = ["--input", str(source), "--output", str(tmp_path / "out"), "--contracts", str(CONTRACTS)]
        return subprocess.run(
            [sys.executable, str(SCRIPT), *arguments, "--remote", f"sc://127.0.0.1:{server.listening_address[1]}"],
            capture_output=True, text=True, check=False, timeout=SUBMIT_S,
        )  # fmt: skip

    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    try:
        told = job(stored(place))
        refused = job(stored(place, with_value("amount", None)))
    finally:
        server.stop()
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[0] == "transaction_anomalies: 11 rows"
    assert told.stdout.splitlines()[-1].endswith(" seconds")
    assert refused.returncode == 4
    assert refused.stderr == (
        f"error in {place}: amount_missing: 1 rows, for example transaction_id 't04' → take these rows out or mend "
        "them; the previous tables stay as they are\n"
    )
    assert versions(tmp_path / "out") == dict.fromkeys(TABLES, 0)


def test_a_server_that_is_not_there_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--input", "x", "--output", str(tmp_path), "--remote", "sc://127.0.0.1:1"]) == 4
    told = capsys.readouterr().err
    assert told.startswith("error in sc://127.0.0.1:1: no Spark Connect server answers")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("java", "told"),
    [(None, "none was found"), ('openjdk version "11.0.2" 2019-01-15', "Spark needs Java 17 or later, not 11.0.2")],
)
def test_java_missing_or_too_old_is_told_in_one_line(tmp_path: Path, java: str | None, told: str) -> None:
    if java is not None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "java").write_text(f"#!/bin/sh\necho '{java}' >&2\n")
        (tmp_path / "bin" / "java").chmod(0o755)
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), "--input", "x", "--output", str(tmp_path / "out")],
        env={**os.environ, "JAVA_HOME": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 8
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1


def submitted(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The job under spark-submit, in a process group of its own, started from another directory."""
    settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.driver.host": "127.0.0.1"}
    settings |= {**delta_jars(), "spark.databricks.delta.snapshotPartitions": "1"}
    command = [spark_submit(), "--master", "local[2]"]
    # So short a job is over before Java's second compiler pays off.
    command += ["--driver-java-options", "-XX:TieredStopAtLevel=1"]
    command += [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    environment = {**spark_environment(), "PYSPARK_PYTHON": sys.executable}
    with log.open("wb") as out:
        return subprocess.Popen(
            [*command, str(SCRIPT), *arguments], cwd=log.parent, env=environment, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip


@pytest.mark.spark
def test_a_killed_driver_leaves_the_previous_tables_whole_and_the_next_run_clears_up(
    sail: SparkSession, place: Path, tmp_path: Path
) -> None:
    output, log = tmp_path / "out", tmp_path / "log"
    published(sail, stored(place, packed(drawn(worlds(), 20))), output)
    before = {name: table(output, name) for name in TABLES}
    assert all(rows.num_rows for rows in before.values())
    arguments = ["--input", str(place), "--output", str(output)]

    killed = submitted(log, *arguments)
    try:
        until = time.monotonic() + SUBMIT_S
        while not list(output.glob("_staging/*/transaction_anomalies")):
            assert killed.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    assert list(output.glob("_staging/detect-*"))
    assert versions(output) == dict.fromkeys(TABLES, 0)
    assert {name: table(output, name) for name in TABLES} == before

    again = submitted(log, *arguments)
    assert again.wait(SUBMIT_S) == 0, log.read_text()[-3000:]
    assert versions(output) == dict.fromkeys(TABLES, 1)
    assert [file.name for file in (output / "_staging").iterdir()] == ["lock"]
    # What Spark publishes is what Sail published.
    assert {name: table(output, name).cast(rows.schema) for name, rows in before.items()} == before
