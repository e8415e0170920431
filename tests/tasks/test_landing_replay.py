"""Replaying quarantined rows: corrected rows land where they came from, the rest stays open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lake.candidate import Candidate, Run
from lake.errors import BadInputError
from lake.settings import EngineSettings, LandSettings
from lake.tables import table
from sql.engines.duckdb import DuckDBEngine
from tasks.landing import QuarantinedRow, land, pending_files, reland

RUN = Run("run-1", datetime(2026, 1, 2, tzinfo=UTC))
LATER = Run("run-2", datetime(2026, 1, 3, tzinfo=UTC))
SPEND = table("bronze.marketing_spend")
HEADER = "spend_id,channel_id,spend_date,amount,impressions,clicks\n"
GOOD = {
    "spend_id": "s1",
    "channel_id": "c1",
    "spend_date": "2026-01-31",
    "amount": "12.10",
    "impressions": "100",
    "clicks": "7",
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    with DuckDBEngine(EngineSettings(), tmp_path / "spill") as engine:
        yield engine


def refused(engine: DuckDBEngine, root: Path, name: str, content: str) -> list[QuarantinedRow]:
    folder = root / "inbox" / SPEND.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    files = pending_files(root / "inbox", SPEND, lambda _: False, limit=1)
    candidate = land(engine, SPEND, files, root / "staging", RUN, LandSettings())
    rows = rows_of(candidate.quarantine_files)
    keys = ("quarantine_id", "payload", "_source", "_batch_id", "_line")
    return [QuarantinedRow(*(row[key] for key in keys)) for row in rows]


def replay(engine: DuckDBEngine, root: Path, rows: list[QuarantinedRow], **corrections: str) -> Candidate:
    candidate = reland(engine, SPEND, rows, corrections, root / "staging", LATER, LandSettings())
    assert candidate.balance.holds
    assert candidate.balance.published == len(rows_of(candidate.files))
    assert candidate.quarantine_files == ()
    return candidate


def rows_of(files: tuple[Path, ...]) -> list[dict[str, Any]]:
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return sorted(rows, key=lambda row: row["_line"])


def quarantined(payload: str, line: int = 5, row_id: str = "q1") -> QuarantinedRow:
    return QuarantinedRow(row_id, payload, "marketing_spend/a.csv", "b1", line)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", HEADER + "\ns1,c1,2026-01-31,12.1O,,7\n", 3),
        ("a.jsonl", json.dumps(GOOD | {"amount": "12.1O", "impressions": None}) + "\n", 1),
    ],
)
def test_corrected_row_lands_at_its_original_line(
    engine: DuckDBEngine, tmp_path: Path, name: str, content: str, line: int
) -> None:
    rows = refused(engine, tmp_path, name, content)
    candidate = replay(engine, tmp_path, rows, amount="12.10")
    assert rows_of(candidate.files) == [
        {
            "spend_id": "s1",
            "channel_id": "c1",
            "spend_date": date(2026, 1, 31),
            "amount": Decimal("12.10"),
            "impressions": None,
            "clicks": 7,
            "_ingested_at": LATER.at,
            "_source": f"marketing_spend/{name}",
            "_batch_id": rows[0].quarantine_id,
            "_line": line,
        }
    ]
    assert pq.read_schema(candidate.files[0]).equals(SPEND.schema)


def test_row_that_fails_again_stays_open_and_balances(engine: DuckDBEngine, tmp_path: Path) -> None:
    rows = refused(engine, tmp_path, "a.csv", HEADER + "s1,c1,soon,1.00,1,1\ns2,c1,2026-01-01,x,1,1\n")
    candidate = replay(engine, tmp_path, rows, spend_date="2026-01-02")
    assert [row["spend_id"] for row in rows_of(candidate.files)] == ["s1"]
    assert (candidate.balance.received, candidate.balance.published, candidate.balance.quarantined) == (2, 1, 1)


def test_nothing_corrected_nothing_lands(engine: DuckDBEngine, tmp_path: Path) -> None:
    rows = refused(engine, tmp_path, "a.csv", HEADER + "s1,c1,soon,1.00,1,1\n")
    candidate = replay(engine, tmp_path, rows)
    assert (candidate.files, candidate.balance.published) == ((), 0)


def test_silver_payload_with_its_own_notation_lands(engine: DuckDBEngine, tmp_path: Path) -> None:
    payload = (
        '{"spend_id":"s1","channel_id":"c9","spend_date":"2026-01-31","amount":12.10,"impressions":100,"clicks":7}'
    )
    (row,) = rows_of(replay(engine, tmp_path, [quarantined(payload)], channel_id="c1").files)
    assert (row["channel_id"], row["amount"], row["_line"]) == ("c1", Decimal("12.10"), 5)


def test_silver_timestamps_as_duckdb_writes_them_land(engine: DuckDBEngine, tmp_path: Path) -> None:
    refunds = table("bronze.refunds")
    payload = json.dumps(
        {"refund_id": "r1", "payment_id": "p", "refunded_at": "2026-01-31 10:00:00.5+00", "amount": 1, "reason": None}
    )
    candidate = reland(engine, refunds, [quarantined(payload)], {}, tmp_path / "staging", LATER, LandSettings())
    (row,) = rows_of(candidate.files)
    assert row["refunded_at"] == datetime(2026, 1, 31, 10, 0, 0, 500_000, tzinfo=UTC)


def test_line_without_fields_lands_only_when_every_column_is_given(engine: DuckDBEngine, tmp_path: Path) -> None:
    rows = refused(engine, tmp_path, "a.csv", HEADER + "s1,c1\n")
    assert replay(engine, tmp_path, rows, clicks="1").balance.published == 0
    assert replay(engine, tmp_path, rows, **GOOD).balance.published == 1


def test_absent_key_can_be_supplied_and_unknown_key_cannot_be_overlooked(engine: DuckDBEngine, tmp_path: Path) -> None:
    absent = {name: value for name, value in GOOD.items() if name != "clicks"}
    rows = refused(engine, tmp_path, "a.jsonl", json.dumps(absent) + "\n" + json.dumps(GOOD | {"color": "red"}) + "\n")
    candidate = replay(engine, tmp_path, rows, clicks="")
    assert [(row["_line"], row["clicks"]) for row in rows_of(candidate.files)] == [(1, None)]


def test_whole_file_never_lands_as_a_row(engine: DuckDBEngine, tmp_path: Path) -> None:
    assert replay(engine, tmp_path, [quarantined(json.dumps(GOOD), line=0)]).balance.published == 0


def test_batch_stands_for_rows_and_corrections_whatever_their_order(engine: DuckDBEngine, tmp_path: Path) -> None:
    one, two = quarantined(json.dumps(GOOD), row_id="q1"), quarantined(json.dumps(GOOD), 6, "q2")
    there = replay(engine, tmp_path, [one, two], clicks="1", amount="2")
    back = replay(engine, tmp_path, [two, one, two], amount="2", clicks="1")
    other = replay(engine, tmp_path, [one, two], clicks="2", amount="1")
    assert there.batches == back.batches != other.batches
    assert back.balance.received == 2


def test_correction_of_an_unknown_column_names_the_known_ones(engine: DuckDBEngine, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no column colour.*spend_id"):
        replay(engine, tmp_path, [], colour="red")


def test_replaying_no_rows_is_an_empty_candidate(engine: DuckDBEngine, tmp_path: Path) -> None:
    assert replay(engine, tmp_path, []).balance.received == 0
