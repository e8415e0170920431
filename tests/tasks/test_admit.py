"""Rows that came over HTTP are read once their contract passed, not before; files landing beside them come along."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lake.compaction import compact
from lake.errors import GateError, StorageError
from lake.gated import EXEMPT, GateRecord, last_gated
from lake.lake import Lake
from lake.log import entry_path
from lake.publish import commit
from lake.settings import LakeSettings, LandSettings, Settings
from lake.table import Table
from lake.tables import BRONZE_TRANSACTIONS, SILVER_TRANSACTIONS, quarantine_of
from lake.tables.platform import CHECK_HISTORY, ROW_BALANCE
from tasks.admit import admit_layer
from tasks.inspect import check_published
from tasks.layers import build_layer, land_layer
from tasks.maintain import maintain
from tasks.quarantine import quarantined, quarantined_row, replay
from tasks.workspace import Workspace, new_run, writing
from tests.lake.conftest import append_as_stranger, append_pending, newest_version

AT = datetime(2026, 1, 31, tzinfo=UTC)
HEADER = "transaction_id,account_id,merchant_id,category,occurred_at,amount,currency,channel\n"
GOOD = {
    "account_id": "a1", "merchant_id": "m1", "category": "grocery", "occurred_at": datetime(2026, 1, 30, tzinfo=UTC),
    "amount": 10, "currency": "EUR", "channel": "online",
}  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(lake=LakeSettings(root=tmp_path / "lake"), land=LandSettings(inbox=tmp_path / "inbox"))


@pytest.fixture
def lake(settings: Settings) -> Lake:
    lake = Lake(settings.lake.root)
    lake.prepare()
    return lake


def run(settings: Settings) -> AbstractContextManager[Workspace]:
    return writing(settings, new_run(AT))


def over_http(lake: Lake, *ids: str, **changed: Any) -> int:
    """Rows that silver takes, committed as the service commits them; returns the version."""
    return append_pending(lake, BRONZE_TRANSACTIONS, ids, **{**GOOD, "_ingested_at": AT, **changed})


def drop(settings: Settings, name: str, *ids: str) -> None:
    folder = settings.land.inbox / "transactions"
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{i},a1,m1,grocery,2026-01-30T10:00:00Z,1.00,EUR,online\n" for i in ids)
    (folder / name).write_text(HEADER + lines)


def read(lake: Lake, of: Table) -> pl.DataFrame:
    gated = last_gated(lake, of)
    empty = pl.DataFrame(pl.from_arrow(of.schema.empty_table()))
    return pl.concat([empty, *(pl.read_parquet(f) for f in gated.files)]) if gated else empty


def ids(lake: Lake, of: Table = BRONZE_TRANSACTIONS) -> list[str]:
    return sorted(read(lake, of)["transaction_id"])


def balances(lake: Lake) -> list[tuple[int, int]]:
    rows = read(lake, ROW_BALANCE).filter(pl.col("table_name") == "bronze.transactions")
    return sorted(zip(rows["received"], rows["published"], strict=True))


def test_nothing_waits_nothing_is_done(settings: Settings, lake: Lake) -> None:
    with run(settings) as workspace:
        result = admit_layer(workspace)
    assert (result.published, result.candidates, result.gates) == ((), {}, {})
    assert lake.open(BRONZE_TRANSACTIONS) is None
    assert lake.open(CHECK_HISTORY) is None


def test_rows_are_read_once_their_contract_passed_and_the_lake_remembers_it(settings: Settings, lake: Lake) -> None:
    over_http(lake, "t1", "t2")
    version = over_http(lake, "t3")
    assert ids(lake) == []
    with run(settings) as workspace:
        result = admit_layer(workspace)
    assert [(p.table, p.version) for p in result.published] == [("bronze.transactions", version + 1)]
    assert ids(lake) == ["t1", "t2", "t3"]
    gated = last_gated(lake, BRONZE_TRANSACTIONS)
    assert gated is not None
    assert (gated.record.admits, gated.record.run_id) == (version, workspace.run.run_id)
    assert gated.record.balance == result.candidates["bronze.transactions"].balance
    history = read(lake, CHECK_HISTORY)
    assert set(history["table_name"]) == {"bronze.transactions"}
    assert set(history["rows_tested"]) == {3}
    assert balances(lake) == [(3, 3)]
    with run(settings) as workspace:
        assert admit_layer(workspace).published == (), "nothing waits any more"
    (check,) = check_published(workspace, [BRONZE_TRANSACTIONS])
    assert (check.opens, check.rows_tested) == (True, 3)


def test_only_what_waits_is_looked_at_again(settings: Settings, lake: Lake) -> None:
    over_http(lake, "t1", "t2")
    with run(settings) as workspace:
        admit_layer(workspace)
    over_http(lake, "t3")
    with run(settings) as workspace:
        result = admit_layer(workspace)
    assert result.gates["bronze.transactions"].rows_tested == 1
    assert ids(lake) == ["t1", "t2", "t3"]
    assert balances(lake) == [(1, 1), (2, 2)]


def test_a_shut_gate_admits_nothing_and_says_so(settings: Settings, lake: Lake) -> None:
    over_http(lake, "t1")
    over_http(lake, "t2", _source=None)
    with run(settings) as workspace, pytest.raises(GateError, match=r"over HTTP.*_source"):
        admit_layer(workspace)
    assert ids(lake) == []
    assert newest_version(lake, BRONZE_TRANSACTIONS) == 1
    assert "FAILED" in set(read(lake, CHECK_HISTORY)["outcome"])


def test_rows_that_come_while_the_gate_looks_wait_for_the_next_run(settings: Settings, lake: Lake) -> None:
    over_http(lake, "t1")

    def late_row(name: str, layer: str, step: Any) -> Any:
        result = step()
        if name.startswith("check"):
            over_http(lake, "late")
        return result

    with writing(settings, new_run(AT), late_row) as workspace:
        assert admit_layer(workspace).published[0].version == 0
    assert ids(lake) == ["t1"]
    over_http(lake, "later")
    with run(settings) as workspace:
        admit_layer(workspace)
    assert ids(lake) == ["late", "later", "t1"]
    assert balances(lake) == [(1, 1), (2, 2)]


def test_files_landing_beside_rows_over_http_come_to_silver_in_one_run(settings: Settings, lake: Lake) -> None:
    over_http(lake, "t1", "t2")
    drop(settings, "a.csv", "f1", "f2", "t2")
    with run(settings) as workspace:
        landed = land_layer(workspace, (BRONZE_TRANSACTIONS,))
        assert landed.candidates["bronze.transactions"].balance.published == 3
        assert ids(lake) == [], "they wait beside the others"
        admit_layer(workspace, (BRONZE_TRANSACTIONS,))
        build_layer(workspace, (SILVER_TRANSACTIONS,))
    assert ids(lake) == ["f1", "f2", "t1", "t2", "t2"]
    assert ids(lake, SILVER_TRANSACTIONS) == ["f1", "f2", "t1", "t2"]
    assert balances(lake) == [(2, 2), (3, 3)]
    assert sum(published for _, published in balances(lake)) == len(ids(lake))
    drop(settings, "b.csv", "f3")
    with run(settings) as workspace:
        land_layer(workspace, (BRONZE_TRANSACTIONS,))
        assert "f3" in ids(lake), "nothing waits, so it is read at once"
        assert admit_layer(workspace).published == ()


def test_a_compaction_between_two_admissions_counts_no_row_twice(settings: Settings, lake: Lake) -> None:
    over_http(lake, "t1")
    with run(settings) as workspace:
        admit_layer(workspace)
    over_http(lake, "t2")
    over_http(lake, "t3")
    assert compact(lake, BRONZE_TRANSACTIONS, min_files=2) is not None
    DeltaTable(str(lake.path(BRONZE_TRANSACTIONS))).optimize.compact()
    with run(settings) as workspace:
        result = admit_layer(workspace)
    assert result.candidates["bronze.transactions"].balance.received == 2
    assert ids(lake) == ["t1", "t2", "t3"]


def test_maintenance_leaves_what_waits_waiting_and_readable_rows_readable(settings: Settings, lake: Lake) -> None:
    over_http(lake, "t1")
    over_http(lake, "t2")
    with run(settings) as workspace:
        admit_layer(workspace)
    over_http(lake, "t3")
    over_http(lake, "t4")
    with run(settings) as workspace:
        done = {m.table: m for m in maintain(workspace)}
    assert done["bronze.transactions"].compacted == 4
    assert ids(lake) == ["t1", "t2"]
    assert len(DeltaTable(str(lake.path(BRONZE_TRANSACTIONS))).file_uris()) == 2
    with run(settings) as workspace:
        admit_layer(workspace)
    assert ids(lake) == ["t1", "t2", "t3", "t4"]


def test_maintenance_mends_what_a_power_cut_tore(settings: Settings, lake: Lake) -> None:
    over_http(lake, "t1")
    over_http(lake, "t2")
    version = append_as_stranger(lake, BRONZE_TRANSACTIONS, "s")
    os.truncate(entry_path(lake.path(BRONZE_TRANSACTIONS), version), 0)
    with run(settings) as workspace:
        (done,) = [m for m in maintain(workspace) if m.table == "bronze.transactions"]
    assert (done.repaired, done.compacted) == (1, 2)
    with run(settings) as workspace:
        admit_layer(workspace)
    assert ids(lake) == ["t1", "t2"]


def test_a_stranger_among_what_waits_stops_it_with_a_way_out(settings: Settings, lake: Lake) -> None:
    over_http(lake, "t1")
    append_as_stranger(lake, BRONZE_TRANSACTIONS, "s")
    with run(settings) as workspace, pytest.raises(StorageError, match=r"restore bronze\.transactions"):
        admit_layer(workspace)


@pytest.fixture
def refused(lake: Lake) -> None:
    """Two rows of one request that the service refused."""
    quarantine = quarantine_of(BRONZE_TRANSACTIONS)
    payload = (
        '{"transaction_id":"%s","account_id":"a1","merchant_id":"m1","category":"grocery",'
        '"occurred_at":"2026-01-30T10:00:00Z","amount":"ten","currency":"EUR","channel":"online"}'
    )
    common = {
        "table_name": "bronze.transactions", "rules": ["amount_not_a_decimal"], "run_id": "w1", "quarantined_at": AT,
        "_source": "rest/k1/req-1/-", "_batch_id": "0" * 64,
    }  # fmt: skip
    rows = [{"quarantine_id": f"q{n}", "payload": payload % f"t{n}", "_line": n, **common} for n in (1, 2)]
    staged = lake.root / "staged.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=quarantine.schema), staged)
    commit(lake, quarantine, (staged,), "append", GateRecord("w1", EXEMPT))


@pytest.mark.usefixtures("refused")
def test_a_row_refused_over_http_is_listed_shown_and_replayed_corrected(settings: Settings, lake: Lake) -> None:
    over_http(lake, "t9")
    assert list(quarantined(lake, BRONZE_TRANSACTIONS)["_line"]) == [1, 2]
    assert quarantined_row(lake, "q1")["_source"] == "rest/k1/req-1/-"
    with run(settings) as workspace:
        done = replay(workspace, BRONZE_TRANSACTIONS, ["q1"], {"amount": "10.00"})
    assert (done.tried, done.published, done.still_quarantined) == (1, 1, 0)
    assert ids(lake) == ["t1", "t9"]
    (row,) = read(lake, BRONZE_TRANSACTIONS).filter(pl.col("transaction_id") == "t1").to_dicts()
    assert (row["_source"], row["_batch_id"], row["_line"]) == ("rest/k1/req-1/-", "q1", 1)
    assert list(quarantined(lake, BRONZE_TRANSACTIONS)["quarantine_id"]) == ["q2"]
    assert balances(lake) == [(1, 1), (1, 1)]


@pytest.mark.usefixtures("refused")
def test_a_row_refused_over_http_stays_open_while_it_is_wrong(settings: Settings, lake: Lake) -> None:
    with run(settings) as workspace:
        done = replay(workspace, BRONZE_TRANSACTIONS)
    assert (done.tried, done.published, done.still_quarantined) == (2, 0, 2)
    assert lake.open(BRONZE_TRANSACTIONS) is None
