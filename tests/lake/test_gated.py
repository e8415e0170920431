"""Which version readers read, and how the newest one stands to its gate, whoever wrote what in between."""

from __future__ import annotations

import dataclasses

import pytest
from deltalake import DeltaTable

from lake.errors import StorageError
from lake.gated import PENDING, GateRecord, Standing, commits, last_gated, standing
from lake.lake import Lake
from lake.log import entry_path, read_entry
from lake.publish import admit, publish
from lake.table import Table
from lake.tables import table
from tests.lake.conftest import RUN, CandidateMaker, append_as_stranger, append_pending, passing, read_rows

PLANS = table("bronze.plans")
ADMITTED = GateRecord("run-2", "WARN", contract_hash="c1")


@pytest.fixture
def gated(lake: Lake, make_candidate: CandidateMaker) -> Lake:
    """A table with one row that a gate let in, as version 0."""
    candidate = make_candidate("p1")
    publish(lake, candidate, passing(candidate), RUN, {})
    return lake


def stands(lake: Lake, version: int) -> Standing:
    return standing(lake.path(PLANS), version)


def test_a_table_never_written_waits_for_nothing(lake: Lake) -> None:
    assert stands(lake, -1) == Standing(None, pending=False, clean=True)
    assert last_gated(lake, PLANS) is None


def test_pending_rows_are_in_the_table_and_not_read(gated: Lake) -> None:
    version = append_pending(gated, PLANS, ["r1"])
    assert DeltaTable(str(gated.path(PLANS))).count() == 2
    assert read_rows(gated, PLANS) == ["p1"]
    assert stands(gated, 0) == Standing(0, pending=False, clean=True)
    assert stands(gated, version) == Standing(0, pending=True, clean=True)
    assert [c.record.outcome for c in commits(gated, PLANS) if c.record] == [PENDING, "PASSED"]


def test_admission_adds_no_file_and_lets_readers_read_all(gated: Lake) -> None:
    append_pending(gated, PLANS, ["r1"])
    version = append_pending(gated, PLANS, ["r2"])
    done = admit(gated, PLANS, version, ADMITTED)
    assert (done.version, done.changed) == (3, True)
    entry = read_entry(gated.path(PLANS), 3)
    assert entry is not None
    assert (entry.added, entry.removed) == ((), ())
    assert read_rows(gated, PLANS) == ["p1", "r1", "r2"]
    assert stands(gated, 3) == Standing(3, pending=False, clean=True)
    assert last_gated(gated, PLANS).record.outcome == "WARN"  # type: ignore[union-attr]


def test_rows_that_came_after_the_look_wait_for_the_next(gated: Lake) -> None:
    version = append_pending(gated, PLANS, ["r1"])
    append_pending(gated, PLANS, ["late"])
    assert admit(gated, PLANS, version, ADMITTED).version == version
    assert read_rows(gated, PLANS) == ["p1", "r1"]
    assert stands(gated, 3) == Standing(3, pending=True, clean=True)
    append_pending(gated, PLANS, ["later"])
    assert read_rows(gated, PLANS) == ["p1", "r1"]
    admit(gated, PLANS, 4, ADMITTED)
    assert read_rows(gated, PLANS) == ["late", "later", "p1", "r1"]


def test_rows_past_the_gate_are_not_admitted(gated: Lake) -> None:
    append_pending(gated, PLANS, ["r1"])
    version = append_as_stranger(gated, PLANS, "s")
    with pytest.raises(StorageError, match="no gate let in"):
        admit(gated, PLANS, version, ADMITTED)
    assert read_rows(gated, PLANS) == ["p1"]


def test_a_stranger_stays_known_below_later_pending_rows(gated: Lake) -> None:
    append_as_stranger(gated, PLANS, "s")
    assert stands(gated, 1) == Standing(0, pending=False, clean=False)
    version = append_pending(gated, PLANS, ["r1"])
    assert stands(gated, version) == Standing(0, pending=True, clean=False)


@pytest.mark.parametrize("pending", [False, True])
def test_compaction_by_a_stranger_leaves_the_standing_as_it_was(gated: Lake, pending: bool) -> None:
    append_pending(gated, PLANS, ["r1"])
    if not pending:
        admit(gated, PLANS, 1, ADMITTED)
    version = DeltaTable(str(gated.path(PLANS))).version()
    before = stands(gated, version)
    DeltaTable(str(gated.path(PLANS))).optimize.compact()
    assert stands(gated, version + 1) == before
    assert read_rows(gated, PLANS) == (["p1"] if pending else ["p1", "r1"])


def test_publishing_on_top_of_rows_that_wait_makes_the_published_wait(
    gated: Lake, make_candidate: CandidateMaker
) -> None:
    append_pending(gated, PLANS, ["r1"])
    candidate = make_candidate("p2", batch="b2")
    publish(gated, candidate, passing(candidate), RUN, {})
    assert read_rows(gated, PLANS) == ["p1"]
    assert stands(gated, 2) == Standing(0, pending=True, clean=True)
    admit(gated, PLANS, 2, ADMITTED)
    assert read_rows(gated, PLANS) == ["p1", "p2", "r1"]


def test_the_standing_of_pending_rows_is_read_from_one_entry(gated: Lake) -> None:
    for number in range(5):
        append_pending(gated, PLANS, [f"r{number}"])
    for version in range(5):
        entry_path(gated.path(PLANS), version).unlink()
    assert stands(gated, 5) == Standing(0, pending=True, clean=True)


def test_the_entry_the_gate_opened_in_is_missed_by_name(gated: Lake) -> None:
    append_pending(gated, PLANS, ["r1"])
    DeltaTable(str(gated.path(PLANS))).create_checkpoint()
    entry_path(gated.path(PLANS), 0).unlink()
    with pytest.raises(StorageError, match="no longer holds version 0"):
        last_gated(gated, PLANS)


def test_a_record_survives_the_log_and_foreign_ones_are_none(gated: Lake) -> None:
    record = dataclasses.replace(ADMITTED, admits=7, last_open=3, clean=False, batches=("a", "b"))
    assert GateRecord.from_metadata(record.to_metadata()) == record
    assert GateRecord.from_metadata({"lakehouse": {"outcome": "MAYBE"}}) is None
    assert GateRecord.from_metadata({"lakehouse": "PASSED"}) is None
    assert GateRecord.from_metadata({}) is None


def test_a_commit_made_while_the_log_is_read_lets_no_waiting_rows_through(
    lake: Lake, make_candidate: CandidateMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_candidate("p1"), make_candidate("p2", batch="b2", mode="overwrite", fingerprint="f2")
    publish(lake, first, passing(first), RUN, {})
    append_pending(lake, PLANS, ["waits"])
    opened = Lake.open

    def open_and_lose_a_moment(self: Lake, of: Table, version: int | None = None) -> DeltaTable | None:
        delta = opened(self, of, version)
        monkeypatch.setattr(Lake, "open", opened)
        publish(lake, second, passing(second), RUN, {})
        return delta

    monkeypatch.setattr(Lake, "open", open_and_lose_a_moment)
    assert read_rows(lake, PLANS) in (["p1"], ["p2"])


def test_a_commit_that_says_nothing_about_itself_is_a_strangers(gated: Lake) -> None:
    path = entry_path(gated.path(PLANS), 1)
    path.write_text('{"txn": {"appId": "stranger", "version": 1}}\n')
    newest = next(iter(commits(gated, PLANS)))
    assert (newest.version, newest.operation, newest.record) == (1, "unknown", None)
    assert read_rows(gated, PLANS) == ["p1"]
