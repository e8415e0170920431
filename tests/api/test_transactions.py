"""The proof of one transaction: bronze, gate, silver, quarantine, or nowhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake

from lake.gated import PENDING, GateRecord, standing
from lake.lake import Lake
from lake.table import Table
from lake.tables import BRONZE_TRANSACTIONS, SILVER_TRANSACTIONS, quarantine_of
from lake.tables.platform import QUARANTINE_DECISIONS
from tests.api.front import Caller, lake_in, publish_rows, reader

RECEIVED = datetime(2026, 3, 1, tzinfo=UTC)


def from_file(transaction_id: str, line: int = 1, batch: str = "b1", **values: Any) -> dict[str, Any]:
    return {
        "transaction_id": transaction_id,
        "account_id": "a-1",
        "amount": Decimal("12.50"),
        "occurred_at": RECEIVED,
        "_ingested_at": RECEIVED,
        "_source": f"transactions/{batch}.csv",
        "_batch_id": batch,
        "_line": line,
        **values,
    }


def over_http(transaction_id: str, version: int, source: str = "rest/k3x9ab2c", **values: Any) -> dict[str, Any]:
    batch = f"rest/{version:020d}/w1"
    later = RECEIVED + timedelta(minutes=version)
    return from_file(transaction_id, batch=batch, **values) | {"_source": source, "_ingested_at": later}


def append_pending(lake: Lake, *rows: dict[str, Any]) -> int:
    """Rows as the writer appends them: in the table, waiting for their gate."""
    table, path = BRONZE_TRANSACTIONS, lake.path(BRONZE_TRANSACTIONS)
    opened = lake.open(table)
    stands = standing(path, -1 if opened is None else opened.version())
    whole = [{name: row.get(name) for name in table.column_names} for row in rows]
    record = GateRecord("w1", PENDING, last_open=stands.last_open, clean=stands.clean)
    write_deltalake(
        str(path),
        pa.Table.from_pylist(whole, schema=table.schema),
        mode="append",
        commit_properties=CommitProperties(custom_metadata=record.to_metadata()),
    )
    found = lake.open(table)
    assert found is not None
    return int(found.version())


def quarantined(refuser: Table, payload: str, number: int = 1, **values: Any) -> dict[str, Any]:
    return {
        "quarantine_id": f"q{number}",
        "table_name": refuser.full_name,
        "rules": ["amount_not_a_decimal"],
        "payload": payload,
        "_source": "transactions/b1.csv",
        "_batch_id": "b1",
        "_line": number,
        "run_id": "run-1",
        "quarantined_at": RECEIVED + timedelta(minutes=number),
        **values,
    }


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return lake_in(tmp_path)


@pytest.fixture
def caller(tmp_path: Path, lake: Lake) -> Caller:
    return reader(tmp_path)


def proof(caller: Caller, transaction_id: str) -> dict[str, Any]:
    answer = caller.get(f"/api/v1/transactions/{transaction_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_row_of_a_file_names_its_file_and_line(lake: Lake, caller: Caller) -> None:
    publish_rows(lake, BRONZE_TRANSACTIONS, [from_file("t-1", line=2), from_file("t-2", line=3)])
    found = proof(caller, "t-2")
    assert (found["state"], found["silver"], found["quarantine"]) == ("admitted", None, [])
    row = found["bronze"]["rows"][0]
    assert row["origin"] == {"kind": "file", "key": None, "version": None, "file": "transactions/b1.csv", "line": 3}
    assert (row["values"]["amount"], row["values"]["transaction_id"]) == ("12.50", "t-2")
    assert (found["bronze"]["gated_version"], found["bronze"]["newest_version"]) == (0, 0)


def test_a_row_over_http_is_pending_until_a_gate_opens_and_names_version_and_key(lake: Lake, caller: Caller) -> None:
    publish_rows(lake, BRONZE_TRANSACTIONS, [from_file("t-1")])
    assert append_pending(lake, over_http("t-2", 1, "rest/k3x9ab2c/0123abcd/4567ef")) == 1
    found = proof(caller, "t-2")
    assert found["state"] == "pending"
    assert (found["bronze"]["gated_version"], found["bronze"]["newest_version"]) == (0, 1)
    row = found["bronze"]["rows"][0]
    assert row["admitted"] is False
    assert row["origin"] == {"kind": "rest", "key": "k3x9ab2c", "version": 1, "file": None, "line": None}
    assert proof(caller, "t-1")["state"] == "admitted"


def test_a_pending_row_is_proven_before_any_gate_ever_opened(lake: Lake, caller: Caller) -> None:
    append_pending(lake, over_http("t-1", 0))
    found = proof(caller, "t-1")
    assert (found["state"], found["bronze"]["gated_version"]) == ("pending", None)


def test_a_row_received_twice_is_listed_in_order_and_silver_says_which_it_keeps(lake: Lake, caller: Caller) -> None:
    publish_rows(lake, BRONZE_TRANSACTIONS, [from_file("t-1", line=7)])
    append_pending(lake, over_http("t-1", 1))
    publish_rows(lake, SILVER_TRANSACTIONS, [from_file("t-1", line=7)])
    found = proof(caller, "t-1")
    assert found["state"] == "in_silver"
    assert [row["origin"]["kind"] for row in found["bronze"]["rows"]] == ["file", "rest"]
    assert [row["admitted"] for row in found["bronze"]["rows"]] == [True, False]
    assert found["silver"]["origin"]["line"] == 7


@pytest.mark.parametrize(
    "payload",
    ['{"transaction_id": "t-9", "amount": "x"}', "t-9,a-1,m-1,grocery,x", 't-9,"a ""quoted"" one",m-1'],
)
def test_a_refused_row_is_found_by_its_id_whatever_its_form(lake: Lake, caller: Caller, payload: str) -> None:
    publish_rows(lake, quarantine_of(BRONZE_TRANSACTIONS), [quarantined(BRONZE_TRANSACTIONS, payload)])
    found = proof(caller, "t-9")
    assert found["state"] == "quarantined"
    refused = found["quarantine"][0]
    assert (refused["table"], refused["rules"], refused["status"]) == (
        "bronze.transactions",
        ["amount_not_a_decimal"],
        "open",
    )
    assert caller.get("/api/v1/transactions/t-").status_code == 404
    assert caller.get("/api/v1/transactions/a-2").status_code == 404


def test_a_payload_that_only_mentions_an_id_is_not_its_row(lake: Lake, caller: Caller) -> None:
    payload = '{"transaction_id": "t-1", "merchant_id": "t-9", "category": "t-99"}'
    publish_rows(lake, quarantine_of(BRONZE_TRANSACTIONS), [quarantined(BRONZE_TRANSACTIONS, payload)])
    assert caller.get("/api/v1/transactions/t-9").status_code == 404


def test_hostile_payloads_hide_nothing_and_break_nothing(lake: Lake, caller: Caller) -> None:
    payloads = [
        "[" * 200_000 + '"t-9"',
        "x" * 200_000 + ",t-9",
        '{"transaction_id": "t-9"',
        '{"transaction_id": "t-9"}',
    ]
    rows = [quarantined(BRONZE_TRANSACTIONS, payload, number) for number, payload in enumerate(payloads)]
    publish_rows(lake, quarantine_of(BRONZE_TRANSACTIONS), rows)
    assert [refused["quarantine_id"] for refused in proof(caller, "t-9")["quarantine"]] == ["q3"]


def test_an_id_refused_a_thousand_times_is_told_twenty_times(lake: Lake, caller: Caller) -> None:
    rows = [quarantined(BRONZE_TRANSACTIONS, '{"transaction_id": "t-9"}', number) for number in range(1_000)]
    publish_rows(lake, quarantine_of(BRONZE_TRANSACTIONS), rows)
    assert len(proof(caller, "t-9")["quarantine"]) == 20


def test_what_people_decided_about_a_refused_row_is_told(lake: Lake, caller: Caller) -> None:
    rows = [quarantined(SILVER_TRANSACTIONS, '{"transaction_id": "t-1"}', n) for n in (1, 2)]
    publish_rows(lake, quarantine_of(SILVER_TRANSACTIONS), rows)
    publish_rows(lake, QUARANTINE_DECISIONS, [{"quarantine_id": "q1", "decision": "discarded"}])
    assert [(q["quarantine_id"], q["status"]) for q in proof(caller, "t-1")["quarantine"]] == [
        ("q1", "discarded"),
        ("q2", "open"),
    ]


@pytest.mark.parametrize(
    "transaction_id",
    ["a/b", "a b", "' OR '1'='1", "ü", '"', "\\", "a..b", "%", "x" * 256, "\u2028", "{}"],
)
def test_any_id_is_found_as_received(lake: Lake, caller: Caller, transaction_id: str) -> None:
    publish_rows(lake, BRONZE_TRANSACTIONS, [from_file(transaction_id), from_file("t-1", line=2)])
    assert len(proof(caller, quote(transaction_id, safe=""))["bronze"]["rows"]) == 1


@pytest.mark.parametrize(("transaction_id", "status"), [("x" * 257, 422), ("%00", 404), ("%ff", 404), ("none", 404)])
def test_an_id_nobody_has_is_not_found(lake: Lake, caller: Caller, transaction_id: str, status: int) -> None:
    publish_rows(lake, BRONZE_TRANSACTIONS, [from_file("t-1")])
    answer = caller.get(f"/api/v1/transactions/{transaction_id}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_many_small_files_are_looked_through(lake: Lake, caller: Caller) -> None:
    for number in range(30):
        publish_rows(lake, BRONZE_TRANSACTIONS, [from_file(f"t-{number}", batch=f"b{number}")], run=f"run-{number}")
    assert proof(caller, "t-17")["bronze"]["rows"][0]["batch"] == "b17"
