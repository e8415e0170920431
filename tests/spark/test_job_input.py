"""What the submitted job takes, what it refuses by name, and the defined result of odd but allowed inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from lake.errors import BadInputError
from lake.rules import AnomalyRules
from spark.detect_anomalies import TABLES
from spark.job.checking import DUPLICATE, duplicates
from spark.job.reading import InputFormat
from tests.spark.job_runs import BURST, CONTRACTS, as_csv, published, stored, table, versions, with_type, with_value
from tests.spark.oracle import Transaction, judge
from tests.spark.worlds import DAY_US, START_US, as_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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
