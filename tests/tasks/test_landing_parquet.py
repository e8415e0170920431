"""Landing Parquet: declared types go straight through, other types only when nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.candidate import Candidate, Run
from lake.settings import EngineSettings, LandSettings
from lake.table import MONEY, TIMESTAMP
from lake.tables import table
from sql.engines.duckdb import DuckDBEngine
from tasks.landing import land, pending_files
from tasks.landing import landing as landing_module

RUN = Run("run-1", datetime(2026, 1, 2, tzinfo=UTC))
REFUNDS = table("bronze.refunds")
MOMENT = datetime(2026, 1, 31, 10, 0, 0, 123456, tzinfo=UTC)
COLUMNS = {
    "refund_id": pa.array(["r1"]),
    "payment_id": pa.array(["p1"]),
    "refunded_at": pa.array([MOMENT], TIMESTAMP),
    "amount": pa.array([Decimal("12.10")], MONEY),
    "reason": pa.array(["fraud"]),
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    with DuckDBEngine(EngineSettings(), tmp_path / "spill") as engine:
        yield engine


@pytest.fixture(params=["direct", "by way of text"])
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both roads of a Parquet file with declared types must lead to the same rows."""
    monkeypatch.setattr(landing_module, "DIRECT_FROM_ROWS", 0 if request.param == "direct" else 10**9)
    return str(request.param)


def landed(
    engine: DuckDBEngine, tmp_path: Path, columns: dict[str, pa.Array], name: str = "a.parquet", limit: int = 1 << 20
) -> Candidate:
    folder = tmp_path / "inbox" / REFUNDS.name
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)
    return land_inbox(engine, tmp_path, limit)


def land_inbox(engine: DuckDBEngine, tmp_path: Path, limit: int = 1 << 20) -> Candidate:
    files = pending_files(tmp_path / "inbox", REFUNDS, lambda _: False, limit=100)
    settings = LandSettings(max_field_bytes=limit)
    candidate = land(engine, REFUNDS, files, tmp_path / "staging", RUN, settings)
    assert candidate.balance.holds
    assert candidate.balance.published == engine.count(candidate.files)
    return candidate


def rows_of(files: tuple[Path, ...]) -> list[dict[str, Any]]:
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return sorted(rows, key=lambda row: row["_line"])


def rules_of(candidate: Candidate) -> list[list[str]]:
    return [row["rules"] for row in rows_of(candidate.quarantine_files)]


def test_declared_types_land_as_they_are(engine: DuckDBEngine, tmp_path: Path, road: str) -> None:
    candidate = landed(engine, tmp_path, COLUMNS)
    (row,) = rows_of(candidate.files)
    assert row == {name: column[0].as_py() for name, column in COLUMNS.items()} | {
        "_ingested_at": RUN.at,
        "_source": "refunds/a.parquet",
        "_batch_id": candidate.batches[0],
        "_line": 1,
    }
    stored = pq.read_schema(candidate.files[0])
    assert [(f.name, f.type) for f in stored] == [(f.name, f.type) for f in REFUNDS.schema]


def test_bad_values_are_refused_by_row_number(engine: DuckDBEngine, tmp_path: Path, road: str) -> None:
    edge = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), MOMENT, MOMENT, None]
    beyond = pa.array([-62_135_596_800_000_001, 253_402_300_800_000_000, 2**62], pa.int64()).cast(TIMESTAMP)
    times = pa.concat_arrays([pa.array(edge, TIMESTAMP), beyond])
    columns = {name: pa.concat_arrays([column] * 8) for name, column in COLUMNS.items()} | {
        "refunded_at": times,
        "reason": pa.array(["fraud", None, "x" * 2000, "a\0b", *["fraud"] * 4]),
    }
    candidate = landed(engine, tmp_path, columns, limit=1024)
    assert [(r["_line"], r["refunded_at"]) for r in rows_of(candidate.files)] == [(1, edge[0]), (2, edge[1]), (5, None)]
    assert [(r["_line"], r["rules"]) for r in rows_of(candidate.quarantine_files)] == [
        (3, ["reason_too_long"]),
        (4, ["reason_has_nul"]),
        *((line, ["refunded_at_out_of_range"]) for line in (6, 7, 8)),
    ]


def test_refused_row_keeps_its_columns_as_json(engine: DuckDBEngine, tmp_path: Path, road: str) -> None:
    candidate = landed(engine, tmp_path, COLUMNS | {"reason": pa.array(["a\0b"])})
    (row,) = rows_of(candidate.quarantine_files)
    assert row["payload"] == (
        '{"refund_id": "r1", "payment_id": "p1", "refunded_at": "2026-01-31 10:00:00.123456Z", '
        '"amount": "12.10", "reason": "a\\u0000b"}'
    )


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("refunded_at", pa.array([1], pa.timestamp("ms", "Europe/Berlin")), datetime(1970, 1, 1, 0, 0, 0, 1000, UTC)),
        ("refunded_at", pa.array([1000], pa.timestamp("ns", "UTC")), datetime(1970, 1, 1, 0, 0, 0, 1, UTC)),
        ("refunded_at", pa.array(["2026-01-31T10:00:00.123456Z"]), MOMENT),
        ("refunded_at", pa.nulls(1), None),
        ("amount", pa.array([Decimal("1.2000")], pa.decimal128(10, 4)), Decimal("1.20")),
        ("amount", pa.array([Decimal("1.2")], pa.decimal256(50, 1)), Decimal("1.20")),
        ("amount", pa.array([Decimal("1.25")], pa.decimal128(9, 2)), Decimal("1.25")),
        ("amount", pa.array([-7], pa.int32()), Decimal("-7.00")),
        ("amount", pa.array(["0.1"]), Decimal("0.10")),
        ("reason", pa.array(["fraud"], pa.large_string()), "fraud"),
        ("reason", pa.array(["fraud"], pa.string_view()), "fraud"),
        ("reason", pa.array(["fraud"]).dictionary_encode(), "fraud"),
        ("reason", pa.array([5], pa.uint64()), "5"),
    ],
)
def test_other_types_land_when_nothing_is_lost(
    engine: DuckDBEngine, tmp_path: Path, road: str, column: str, values: pa.Array, expected: object
) -> None:
    (row,) = rows_of(landed(engine, tmp_path, COLUMNS | {column: values}).files)
    assert row[column] == expected


@pytest.mark.parametrize(
    ("column", "values", "rule"),
    [
        ("refunded_at", pa.array([1], pa.timestamp("ns", "UTC")), "refunded_at_too_precise"),
        ("amount", pa.array([Decimal("1.2345")], pa.decimal128(10, 4)), "amount_too_precise"),
        ("amount", pa.array([10**17], pa.int64()), "amount_out_of_range"),
        ("amount", pa.array(["NaN"]), "amount_not_a_decimal"),
        ("refunded_at", pa.array(["2026-01-31T10:00:00"]), "refunded_at_has_no_zone"),
    ],
)
def test_value_that_would_lose_something_refuses_its_row(
    engine: DuckDBEngine, tmp_path: Path, column: str, values: pa.Array, rule: str
) -> None:
    candidate = landed(engine, tmp_path, COLUMNS | {column: values})
    assert [(r["_line"], r["rules"]) for r in rows_of(candidate.quarantine_files)] == [(1, [rule])]


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"refunded_at": pa.array([1], pa.timestamp("us"))}, ["refunded_at_has_no_zone"]),
        ({"refunded_at": pa.array([1])}, ["column_type:refunded_at"]),
        ({"amount": pa.array([1.5])}, ["column_type:amount"]),
        ({"amount": pa.array([float("nan")])}, ["column_type:amount"]),
        ({"reason": pa.array([b"fraud"])}, ["column_type:reason"]),
        ({"reason": pa.array([["fraud"]])}, ["column_type:reason"]),
        (
            {"reason": pa.array([date(2026, 1, 1)]), "color": pa.array([1])},
            ["unknown_column:color", "column_type:reason"],
        ),
        ({"reason": None}, ["missing_column:reason"]),
        ({"reason": None, "Reason": pa.array(["x"])}, ["unknown_column:Reason", "missing_column:reason"]),
    ],
)
def test_columns_that_cannot_be_the_declared_ones_refuse_the_file(
    engine: DuckDBEngine, tmp_path: Path, changes: dict[str, pa.Array | None], rules: list[str]
) -> None:
    columns = {name: column for name, column in (COLUMNS | changes).items() if column is not None}
    candidate = landed(engine, tmp_path, columns)
    assert rules_of(candidate) == [rules]
    assert candidate.files == ()


def test_damaged_pages_refuse_the_file_and_no_other(engine: DuckDBEngine, tmp_path: Path, road: str) -> None:
    wide = {name: pa.concat_arrays([column] * 3000) for name, column in COLUMNS.items()} | {
        "refund_id": pa.array([f"r{i}" for i in range(3000)])
    }
    landed(engine, tmp_path, wide, "bad.parquet")
    bad = tmp_path / "inbox" / "refunds" / "bad.parquet"
    content = bytearray(bad.read_bytes())
    content[4:400] = b"\xff" * 396
    bad.write_bytes(content)
    candidate = landed(engine, tmp_path, COLUMNS, "good.parquet")
    assert rules_of(candidate) == [["not_parquet"]]
    assert candidate.balance.published == 1


def test_text_that_is_not_utf8_inside_parquet_refuses_the_file(engine: DuckDBEngine, tmp_path: Path, road: str) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    assert rules_of(landed(engine, tmp_path, COLUMNS | {"reason": broken})) == [["not_parquet"]]


@pytest.mark.parametrize("name", ["a[1].parquet", "a?.parquet", "it's.parquet", "reason=x;.parquet"])
def test_odd_file_names_mean_themselves(engine: DuckDBEngine, tmp_path: Path, road: str, name: str) -> None:
    landed(engine, tmp_path, COLUMNS, name)
    decoy = COLUMNS | {"reason": pa.array(["decoy"])}
    candidate = landed(engine, tmp_path, decoy, "a1.parquet")
    rows = {row["_source"]: row["reason"] for row in rows_of(candidate.files)}
    assert rows == {f"refunds/{name}": "fraud", "refunds/a1.parquet": "decoy"}


def test_a_folder_name_never_becomes_a_value(engine: DuckDBEngine, tmp_path: Path, road: str) -> None:
    candidate = landed(engine, tmp_path / "reason=folder", COLUMNS)
    assert [row["reason"] for row in rows_of(candidate.files)] == ["fraud"]


def test_many_small_files_share_a_staged_file(engine: DuckDBEngine, tmp_path: Path) -> None:
    landed(engine, tmp_path, COLUMNS)
    for i in range(19):
        columns = COLUMNS | {"refund_id": pa.array([f"other{i}"])}
        pq.write_table(pa.table(columns), tmp_path / "inbox" / REFUNDS.name / f"{i:02d}.parquet")
    candidate = land_inbox(engine, tmp_path)
    assert len(candidate.files) == 1
    assert candidate.balance.published == 20
