"""Restoring takes strangers' rows out and leaves ours in, those that wait for the gate too."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.compaction import compact
from lake.errors import StorageError
from lake.gated import PENDING, GateRecord, last_gated, standing
from lake.lake import Lake
from lake.log import entry_path, read_entry
from lake.publish import admit, publish, restore
from lake.tables import table
from tests.lake.conftest import (
    RUN,
    CandidateMaker,
    append_as_stranger,
    append_pending,
    newest_version,
    passing,
    read_rows,
    rows_at,
)

PLANS = table("bronze.plans")
PASSED = GateRecord("run-2", "PASSED", contract_hash="c1")


@pytest.fixture
def gated(lake: Lake, make_candidate: CandidateMaker) -> Lake:
    """A table with one row that a gate let in, as version 0."""
    candidate = make_candidate("p1")
    publish(lake, candidate, passing(candidate), RUN, {})
    return lake


def assert_restored(lake: Lake, rows: list[str], *, pending: bool, last_open: int | None) -> None:
    before = newest_version(lake, PLANS)
    assert restore(lake, PLANS).version == before + 1
    assert rows_at(lake, PLANS) == rows
    found = standing(lake.path(PLANS), before + 1)
    assert (found.pending, found.clean) == (pending, True)
    assert found.last_open == (last_open if pending else before + 1)
    assert not restore(lake, PLANS).changed


def test_without_rows_that_wait_the_gates_record_goes_along(gated: Lake) -> None:
    append_as_stranger(gated, PLANS, "s")
    assert_restored(gated, ["p1"], pending=False, last_open=0)
    current = last_gated(gated, PLANS)
    assert current is not None
    assert (current.version, current.record.run_id, current.record.batches) == (2, "run-1", ("b1",))


def test_rows_that_wait_stay_below_and_above_a_stranger(gated: Lake) -> None:
    append_pending(gated, PLANS, ["r1"])
    append_as_stranger(gated, PLANS, "s1", "s2")
    append_pending(gated, PLANS, ["r2"])
    assert_restored(gated, ["p1", "r1", "r2"], pending=True, last_open=0)
    assert read_rows(gated, PLANS) == ["p1"]
    entry = read_entry(gated.path(PLANS), 4)
    assert entry is not None
    assert entry.info["lakehouse"]["outcome"] == PENDING
    admit(gated, PLANS, 4, PASSED)
    assert read_rows(gated, PLANS) == ["p1", "r1", "r2"]


def test_a_table_that_only_waits_is_restored_too(lake: Lake) -> None:
    append_pending(lake, PLANS, ["r1"])
    append_as_stranger(lake, PLANS, "s")
    assert_restored(lake, ["r1"], pending=True, last_open=None)
    append_pending(lake, PLANS, ["r2"])
    assert rows_at(lake, PLANS) == ["r1", "r2"]


def test_where_nothing_of_ours_was_ever_there_is_nothing_to_go_back_to(lake: Lake) -> None:
    append_as_stranger(lake, PLANS, "s")
    with pytest.raises(StorageError, match="no version was ever let in"):
        restore(lake, PLANS)


def test_what_a_stranger_took_out_is_put_back(gated: Lake) -> None:
    append_pending(gated, PLANS, ["r1"])
    DeltaTable(str(gated.path(PLANS))).delete()
    assert rows_at(gated, PLANS) == []
    assert_restored(gated, ["p1", "r1"], pending=True, last_open=0)
    statistics = DeltaTable(str(gated.path(PLANS))).get_add_actions(flatten=True)
    assert sorted(statistics.column("min.plan_id").to_pylist()) == ["p1", "r1"]


def test_what_a_stranger_took_out_and_deleted_cannot_be_put_back(gated: Lake) -> None:
    delta = DeltaTable(str(gated.path(PLANS)))
    delta.delete()
    delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(StorageError, match="deleted since"):
        restore(gated, PLANS)


def test_a_strangers_overwrite_is_undone_with_its_columns(gated: Lake) -> None:
    theirs = pl.DataFrame({"plan_id": ["s"]}).to_arrow()
    write_deltalake(str(gated.path(PLANS)), theirs, mode="overwrite", schema_mode="overwrite")
    assert_restored(gated, ["p1"], pending=False, last_open=0)
    delta = DeltaTable(str(gated.path(PLANS)))
    assert [f.name for f in delta.schema().fields] == list(PLANS.column_names)
    assert delta.metadata().configuration["delta.logRetentionDuration"] == "interval 3650 days"


def test_a_strangers_compaction_of_our_files_alone_counts_as_ours(gated: Lake) -> None:
    append_pending(gated, PLANS, ["r1"])
    delta = DeltaTable(str(gated.path(PLANS)))
    delta.optimize.compact()
    delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    append_as_stranger(gated, PLANS, "s")
    assert_restored(gated, ["p1", "r1"], pending=True, last_open=0)


def test_a_strangers_compaction_that_mixed_our_rows_with_others_is_undone(gated: Lake) -> None:
    append_pending(gated, PLANS, ["r1"])
    append_as_stranger(gated, PLANS, "s")
    DeltaTable(str(gated.path(PLANS))).optimize.compact()
    assert rows_at(gated, PLANS) == ["p1", "r1", "s"]
    assert_restored(gated, ["p1", "r1"], pending=True, last_open=0)


def test_rows_that_came_while_the_gate_looked_go_on_waiting(gated: Lake) -> None:
    looked_at = append_pending(gated, PLANS, ["r1"])
    append_pending(gated, PLANS, ["r2"])
    admit(gated, PLANS, looked_at, PASSED)
    append_as_stranger(gated, PLANS, "s")
    assert_restored(gated, ["p1", "r1", "r2"], pending=True, last_open=3)
    assert read_rows(gated, PLANS) == ["p1", "r1"]


def test_our_compaction_before_the_stranger_stays(gated: Lake) -> None:
    append_pending(gated, PLANS, ["r1"])
    append_pending(gated, PLANS, ["r2"])
    assert compact(gated, PLANS, min_files=2) is not None
    append_as_stranger(gated, PLANS, "s")
    assert_restored(gated, ["p1", "r1", "r2"], pending=True, last_open=0)


def test_entries_it_needs_and_no_longer_has_are_named(gated: Lake) -> None:
    append_as_stranger(gated, PLANS, "s1")
    append_as_stranger(gated, PLANS, "s2")
    DeltaTable(str(gated.path(PLANS))).create_checkpoint()
    entry_path(gated.path(PLANS), 1).unlink()
    with pytest.raises(StorageError, match="no longer holds version 1"):
        restore(gated, PLANS)


def test_nothing_is_restored_where_nothing_is_wrong(gated: Lake) -> None:
    append_pending(gated, PLANS, ["r1"])
    done = restore(gated, PLANS)
    assert (done.changed, done.version) == (False, 1)
    assert dataclasses.astuple(standing(gated.path(PLANS), 1)) == (0, True, True)
