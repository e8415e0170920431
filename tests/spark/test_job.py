"""The job as others run it: three formats in, four tables out whole or not at all, and errors a person can mend."""

from __future__ import annotations

import csv
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.errors import BadInputError, LakeBusyError, StorageError
from lake.rules import AnomalyRules
from lake.settings import PROJECT_ROOT
from lake.tables.anomalies import ANOMALIES
from spark.detect_anomalies import TABLES, Job, main, run
from spark.job.checking import DUPLICATE, duplicates
from spark.job.reading import InputFormat, Source
from spark.job.rules_file import read_rules
from spark.session import delta_jars
from tests.spark.conftest import Sessions
from tests.spark.oracle import Transaction, judge
from tests.spark.worlds import DAY_US, START_US, as_table, drawn, packed, worlds

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCRIPT = PROJECT_ROOT / "spark" / "detect_anomalies.py"
CONTRACTS = PROJECT_ROOT / "soda" / "contracts"
AT = datetime(2026, 5, 1, 12, 30, 0, 250_000, tzinfo=UTC)
STAMPS = ["detected_at", "run_id", "source_version"]
SUBMIT_S = 120
# A burst of eleven: one row that fires, ten that go with it.
BURST = tuple(Transaction(f"t{number:02}", "a", "c", START_US + number, 100) for number in range(11))


@pytest.fixture
def sail(sessions: Sessions) -> SparkSession:
    return sessions.of("sail")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "transactions.parquet"


def stored(place: Path, rows: Sequence[Transaction] | pa.Table = BURST) -> Path:
    pq.write_table(rows if isinstance(rows, pa.Table) else as_table(rows), place)
    return place


def published(session: SparkSession, source: Path, output: Path, at: datetime = AT, **options: Any) -> list[str]:
    """Run the job; gives the lines it tells."""
    chosen = {name: options.pop(name) for name in ("format", "version") if name in options}
    job = Job(Source(str(source), **chosen), str(output), options.pop("rules", AnomalyRules()), **options)
    return list(run(session, job, at))


def table(output: Path, name: str) -> pa.Table:
    """A published table in the order of its key, without stamps."""
    declared = next(table for table in ANOMALIES if table.name == name)
    rows = pa.table(DeltaTable(output / name).to_pyarrow_table())
    return rows.drop_columns(STAMPS).sort_by([(key, "ascending") for key in declared.key])


def versions(output: Path) -> dict[str, int]:
    return {name: DeltaTable(output / name).version() for name in TABLES}


def as_csv(place: Path, rows: pa.Table, changed: Mapping[str, str] | None = None) -> Path:
    """Rows as RFC 4180 text; `changed` replaces fields of the first one."""
    with place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows.column_names)
        writer.writeheader()
        for number, row in enumerate(rows.to_pylist()):
            text = {**row, "occurred_at": row["occurred_at"].isoformat()}
            writer.writerow({**text, **(changed or {})} if number == 0 else text)
    return place


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


HOT = [Transaction(f"h{n}", "hot", "c", START_US + n * DAY_US // 3, 100 + n % 7) for n in range(60)]
EDGES: dict[str, list[Transaction]] = {
    "an empty table": [],
    "an account with one row": [BURST[0]],
    "equal stamps": [replace(row, at_us=START_US) for row in BURST],
    "all amounts equal and one double": [replace(row, cents=200 + (n == 10)) for n, row in enumerate(BURST)],
    "all amounts zero and one not": [replace(row, cents=int(n == 10)) for n, row in enumerate(BURST)],
    "one account holding half of the rows": HOT + [
        Transaction(f"o{n}", f"other{n % 20}", "c", START_US + n * DAY_US, 100 + 90_000 * (n == 7)) for n in range(60)
    ],
}  # fmt: skip


@pytest.mark.parametrize("rows", EDGES.values(), ids=EDGES)
def test_odd_but_allowed_inputs_have_their_defined_result(
    sail: SparkSession, place: Path, tmp_path: Path, rows: list[Transaction]
) -> None:
    published(sail, stored(place, rows), tmp_path / "out", contracts=CONTRACTS)
    found = table(tmp_path / "out", "transaction_anomalies").select(["transaction_id", "rules"]).to_pylist()
    expected = judge(rows, AnomalyRules())
    assert found == [{"transaction_id": key, "rules": list(expected[key].rules)} for key in sorted(expected)]
    accounts = table(tmp_path / "out", "account_summary")
    assert accounts.num_rows == len({row.account_id for row in rows})


def with_type(name: str, kind: pa.DataType) -> pa.Table:
    rows = as_table(BURST)
    place = rows.column_names.index(name)
    return rows.set_column(place, name, rows.column(name).cast(kind))


def with_value(name: str, value: object) -> pa.Table:
    rows = as_table(BURST).to_pylist()
    rows[4][name] = value
    return pa.Table.from_pylist(rows, schema=as_table(BURST).schema)


# Each refused table, and what the error must say.
REFUSED: dict[str, tuple[Callable[[], pa.Table], str]] = {
    "a missing column": (lambda: as_table(BURST).drop_columns(["merchant_id"]), "missing columns: merchant_id; it has"),
    "a misnamed column": (
        lambda: as_table(BURST).rename_columns({"occurred_at": "occured_at", "amount": "Amount"}),
        r"occurred_at \(there is 'occured_at'\), amount \(there is 'Amount'\)",
    ),
    "zone-less times": (
        lambda: with_type("occurred_at", pa.timestamp("us")),
        r"occurred_at is timestamp_ntz, must be timestamp → .*to_utc_timestamp\(occurred_at",
    ),
    "float amounts": (lambda: with_type("amount", pa.float64()), "amount is double, .* → floats are not exact"),
    "more than cents": (lambda: with_type("amount", pa.decimal128(18, 3)), r"amount is decimal\(18,3\), must be"),
    "numbers for ids": (
        lambda: as_table(BURST).set_column(0, "transaction_id", pa.array(range(11))),
        r"transaction_id is bigint, must be string → cast\(transaction_id as string\)",
    ),
    "a negative amount": (
        lambda: with_value("amount", Decimal("-0.01")), "amount_out_of_range: 1 rows, for example transaction_id 't04'",
    ),
    "an amount beyond ten digits": (lambda: with_value("amount", Decimal("10000000000.00")), "amount_out_of_range: 1"),
    "an amount missing": (lambda: with_value("amount", None), "amount_missing: 1 rows"),
    "a time missing": (lambda: with_value("occurred_at", None), "occurred_at_missing: 1 rows"),
    "a time of no calendar": (
        lambda: with_value("occurred_at", datetime(2201, 1, 1, tzinfo=UTC)), "occurred_at_out_of_range: 1 rows",
    ),
    "an empty id": (lambda: with_value("transaction_id", ""), "transaction_id_missing: 1 rows"),
    "an account missing": (lambda: with_value("account_id", None), "account_id_missing: 1 rows, .* 't04'"),
    "a blank category": (lambda: with_value("category", "  "), "category_missing: 1 rows"),
    "an id twice": (
        lambda: with_value("transaction_id", "t09"), f"{DUPLICATE}: 2 rows, for example transaction_id 't09'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("broken", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_judged_is_refused_by_name_and_the_previous_tables_stay(
    sail: SparkSession, place: Path, tmp_path: Path, broken: Callable[[], pa.Table], told: str
) -> None:
    published(sail, stored(place), tmp_path / "out")
    before = {name: table(tmp_path / "out", name) for name in TABLES}
    with pytest.raises(BadInputError, match=told) as refused:
        published(sail, stored(place, broken()), tmp_path / "out")
    assert refused.value.where == str(place)
    assert versions(tmp_path / "out") == dict.fromkeys(TABLES, 0)
    assert {name: table(tmp_path / "out", name) for name in TABLES} == before


def test_several_broken_rules_are_told_at_once_and_amounts_that_fit_are_taken(
    sail: SparkSession, place: Path, tmp_path: Path
) -> None:
    rows = with_value("account_id", None).to_pylist()
    rows[0]["amount"] = Decimal("-1.00")
    with pytest.raises(BadInputError, match=r"account_id_missing: 1 .*amount_out_of_range: 1"):
        published(sail, stored(place, pa.Table.from_pylist(rows, schema=as_table(BURST).schema)), tmp_path / "out")
    published(sail, stored(place, with_type("amount", pa.decimal128(7, 1))), tmp_path / "out")
    assert table(tmp_path / "out", "account_summary").column("amount").to_pylist() == [Decimal("11.00")]


def test_ids_are_trusted_when_told_so(sail: SparkSession, place: Path, tmp_path: Path) -> None:
    published(sail, stored(place, with_value("transaction_id", "t09")), tmp_path / "out", trust_ids=True)
    assert table(tmp_path / "out", "transaction_anomalies").num_rows == 11


def test_every_row_of_a_repeated_id_is_counted(sail: SparkSession, place: Path) -> None:
    rows = [*BURST, BURST[2], BURST[2], BURST[5]]
    assert duplicates(sail.read.parquet(str(stored(place, rows)))) == [
        f"{DUPLICATE}: 5 rows, for example transaction_id 't02'"
    ]
    assert duplicates(sail.read.parquet(str(stored(place, BURST)))) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"amount": "NaN"}, "amount_unreadable: 1 rows, for example transaction_id 't00'"),
        ({"amount": "Infinity"}, "amount_unreadable: 1"),
        ({"amount": "1.005"}, "amount_unreadable: 1"),
        ({"amount": "1e3"}, "amount_unreadable: 1"),
        ({"amount": "1,50"}, "amount_unreadable: 1"),
        ({"amount": "-1.00"}, "amount_out_of_range: 1"),
        ({"amount": ""}, "amount_missing: 1"),
        ({"occurred_at": "2026-01-01T10:00:00"}, "occurred_at_unreadable: 1"),
        ({"occurred_at": "2026-02-30T10:00:00Z"}, "occurred_at_unreadable: 1"),
        ({"occurred_at": "01/02/2026"}, "occurred_at_unreadable: 1"),
        ({"account_id": ""}, "account_id_missing: 1"),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else "",
)
def test_csv_is_read_strictly(sail: SparkSession, tmp_path: Path, changed: dict[str, str], told: str) -> None:
    source = as_csv(tmp_path / "rows.csv", as_table(BURST), changed)
    with pytest.raises(BadInputError, match=told):
        published(sail, source, tmp_path / "out")
    assert not any((tmp_path / "out" / name).exists() for name in TABLES)


def test_csv_moments_keep_their_zone_and_amounts_their_cents(sail: SparkSession, tmp_path: Path) -> None:
    changed = {"occurred_at": "2025-12-31 23:30:00.5-02:00", "amount": "9999999999.99", "transaction_id": " T,1\t"}
    rows = as_table([*BURST[1:2], *(replace(row, cents=5) for row in BURST[2:])])
    published(sail, as_csv(tmp_path / "rows.csv", rows, changed), tmp_path / "out")
    (row,) = (r for r in table(tmp_path / "out", "transaction_anomalies").to_pylist() if r["amount"] > 1)
    assert row["occurred_at"] == datetime(2026, 1, 1, 1, 30, 0, 500_000, tzinfo=UTC)
    assert row["amount"] == Decimal("9999999999.99")
    assert row["transaction_id"] == " T,1\t"


def test_a_csv_row_with_a_field_too_many_or_too_few_is_refused(sail: SparkSession, tmp_path: Path) -> None:
    source = as_csv(tmp_path / "rows.csv", as_table(BURST))
    whole = source.read_text()
    for torn in ("x,y\n", whole.splitlines()[1].replace("t00", "t99") + ",more\n"):
        source.write_text(whole + torn)
        with pytest.raises(BadInputError, match="cannot be read"):
            published(sail, source, tmp_path / "out")


@pytest.mark.parametrize("kind", InputFormat)
def test_an_input_that_is_not_there_is_told_by_its_path(sail: SparkSession, tmp_path: Path, kind: InputFormat) -> None:
    with pytest.raises(BadInputError) as refused:
        published(sail, tmp_path / "nothing", tmp_path / "out", format=kind)
    assert refused.value.where == str(tmp_path / "nothing")


def test_a_file_that_is_no_parquet_is_told_by_its_path(sail: SparkSession, place: Path, tmp_path: Path) -> None:
    place.write_bytes(b"PAR1 but not for long")
    with pytest.raises(BadInputError, match="cannot be read") as refused:
        published(sail, place, tmp_path / "out")
    assert refused.value.where == str(place)


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
    import pyspark

    home = Path(pyspark.__file__).parent
    settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.driver.host": "127.0.0.1"}
    settings |= {**delta_jars(), "spark.databricks.delta.snapshotPartitions": "1"}
    command = [str(home / "bin" / "spark-submit"), "--master", "local[2]"]
    # So short a job is over before Java's second compiler pays off.
    command += ["--driver-java-options", "-XX:TieredStopAtLevel=1"]
    command += [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    # A remote session of this process says so in its environment.
    own = {name: value for name, value in os.environ.items() if "CONNECT" not in name and "REMOTE" not in name}
    environment = {**own, "SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
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
