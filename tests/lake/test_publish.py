"""A candidate becomes readable in one commit, once, and only through its gate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.checks import CheckResult, GateResult, Outcome
from lake.errors import GateError, LakeBusyError, StorageError
from lake.gated import commits, last_gated
from lake.lake import Lake
from lake.parquet_stats import file_statistics
from lake.publish import has_landed, publish, restore
from lake.tables import table
from tests.lake.conftest import RUN, CandidateMaker, passing

PLANS = table("bronze.plans")


def plan_ids(lake: Lake) -> list[str]:
    gated = last_gated(lake, PLANS)
    if gated is None:
        return []
    return sorted(pl.concat([pl.read_parquet(f) for f in gated.files])["plan_id"]) if gated.files else []


def append_past_the_gate(lake: Lake) -> None:
    stranger = pl.DataFrame({"plan_id": ["stranger"]}).to_arrow()
    write_deltalake(str(lake.path(PLANS)), stranger, mode="append", schema_mode="merge")


def test_published_rows_can_be_read_and_the_commit_says_what_let_them_in(
    lake: Lake, make_candidate: CandidateMaker
) -> None:
    candidate = make_candidate("p1", "p2", rejected=("q1",))
    published = publish(lake, candidate, passing(candidate), RUN, {"inbox": 1})
    assert (published.version, published.changed) == (0, True)
    assert plan_ids(lake) == ["p1", "p2"]
    record = last_gated(lake, PLANS).record  # type: ignore[union-attr]
    assert (record.run_id, record.outcome, record.contract_hash) == ("run-1", "PASSED", "c1")
    assert record.sources == {"inbox": 1}
    assert record.balance == candidate.balance
    assert record.quarantine_version == 0


def test_the_checked_files_themselves_are_published(lake: Lake, make_candidate: CandidateMaker) -> None:
    candidate = make_candidate("p1")
    inode = candidate.files[0].stat().st_ino
    publish(lake, candidate, passing(candidate), RUN, {})
    gated = last_gated(lake, PLANS)
    assert gated is not None
    assert [f.stat().st_ino for f in gated.files] == [inode]


def test_second_publish_of_the_same_batch_adds_no_rows(lake: Lake, make_candidate: CandidateMaker) -> None:
    for expected in (True, False):
        candidate = make_candidate("p1", rejected=("q1",))
        assert publish(lake, candidate, passing(candidate), RUN, {}).changed is expected
    assert plan_ids(lake) == ["p1"]
    assert last_gated(lake, table("quarantine.bronze_plans")).rows == 1  # type: ignore[union-attr]


def test_quarantine_published_before_a_crash_is_not_published_twice(lake: Lake, make_candidate: CandidateMaker) -> None:
    first = make_candidate("p1", rejected=("q1",))
    lonely = dataclasses.replace(first, files=(), batches=("b1",))
    publish(lake, lonely, dataclasses.replace(passing(lonely), rows_tested=1), RUN, {})
    # As if killed between the two commits: quarantine is there, the table is gone.
    for file in sorted(lake.path(PLANS).rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    candidate = make_candidate("p1", rejected=("q1",))
    publish(lake, candidate, passing(candidate), RUN, {})
    assert plan_ids(lake) == ["p1"]
    assert last_gated(lake, table("quarantine.bronze_plans")).rows == 1  # type: ignore[union-attr]


def test_a_batch_without_rows_is_remembered(lake: Lake, make_candidate: CandidateMaker) -> None:
    candidate = make_candidate(batch="empty")
    publish(lake, candidate, passing(candidate), RUN, {})
    assert has_landed(lake, PLANS, "empty")
    assert not has_landed(lake, PLANS, "other")


def test_overwrite_with_the_same_fingerprint_and_contract_changes_nothing(
    lake: Lake, make_candidate: CandidateMaker
) -> None:
    for expected, contract in ((True, "c1"), (False, "c1"), (True, "c2")):
        candidate = make_candidate("p1", mode="overwrite", fingerprint="f")
        assert publish(lake, candidate, passing(candidate, contract), RUN, {}).changed is expected


@pytest.mark.parametrize(
    "shut",
    [
        {"problems": ("plans: amount must be positive",)},
        {"rows_tested": 7},
        {"table": "bronze.users"},
    ],
)
def test_a_shut_gate_publishes_nothing(lake: Lake, make_candidate: CandidateMaker, shut: dict[str, object]) -> None:
    candidate = make_candidate("p1", rejected=("q1",))
    gate = dataclasses.replace(passing(candidate), **shut)  # type: ignore[arg-type]
    with pytest.raises(GateError):
        publish(lake, candidate, gate, RUN, {})
    assert lake.open(PLANS) is None
    assert lake.open(table("quarantine.bronze_plans")) is None


def test_rows_that_do_not_balance_are_refused(lake: Lake, make_candidate: CandidateMaker) -> None:
    candidate = make_candidate("p1")
    candidate = dataclasses.replace(candidate, balance=dataclasses.replace(candidate.balance, received=5))
    with pytest.raises(GateError, match="balance"):
        publish(lake, candidate, passing(candidate), RUN, {})


def test_warnings_let_rows_through_and_are_recorded(lake: Lake, make_candidate: CandidateMaker) -> None:
    candidate = make_candidate("p1")
    stale = CheckResult("freshness", "freshness", "_ingested_at", Outcome.WARN)
    publish(lake, candidate, GateResult("bronze.plans", "c1", 1, (stale,)), RUN, {})
    assert last_gated(lake, PLANS).record.outcome == "WARN"  # type: ignore[union-attr]


def test_rows_written_past_the_gate_are_not_read(lake: Lake, make_candidate: CandidateMaker) -> None:
    candidate = make_candidate("p1")
    publish(lake, candidate, passing(candidate), RUN, {})
    append_past_the_gate(lake)
    assert DeltaTable(str(lake.path(PLANS))).count() == 2
    assert plan_ids(lake) == ["p1"]
    assert [c.record is None for c in commits(lake, PLANS)] == [True, False]


def test_adding_onto_rows_past_the_gate_is_refused_until_restored(lake: Lake, make_candidate: CandidateMaker) -> None:
    candidate = make_candidate("p1")
    publish(lake, candidate, passing(candidate), RUN, {})
    append_past_the_gate(lake)
    late = make_candidate("p2", batch="b2")
    with pytest.raises(StorageError, match=r"restore bronze\.plans"):
        publish(lake, late, passing(late), RUN, {})
    assert restore(lake, PLANS).changed
    assert not restore(lake, PLANS).changed
    publish(lake, late, passing(late), RUN, {})
    assert plan_ids(lake) == ["p1", "p2"]
    assert DeltaTable(str(lake.path(PLANS))).count() == 2


def test_compaction_by_somebody_else_is_read_through(lake: Lake, make_candidate: CandidateMaker) -> None:
    for batch in ("b1", "b2"):
        candidate = make_candidate(batch, batch=batch)
        publish(lake, candidate, passing(candidate), RUN, {})
    delta = DeltaTable(str(lake.path(PLANS)))
    delta.optimize.compact()
    delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert plan_ids(lake) == ["b1", "b2"]
    assert last_gated(lake, PLANS).version >= 2  # type: ignore[union-attr]


@pytest.mark.parametrize("rival_batch", ["b2", "b3"])
def test_an_append_that_loses_the_race_is_tried_again_unless_the_winner_landed_the_same_batch(
    lake: Lake, make_candidate: CandidateMaker, monkeypatch: pytest.MonkeyPatch, rival_batch: str
) -> None:
    first = make_candidate("p1")
    publish(lake, first, passing(first), RUN, {})
    late = make_candidate("p2", batch="b2")
    rival = dataclasses.replace(make_candidate("p3", batch="rival"), batches=(rival_batch,))

    def other_writer_first(file: Path) -> str:
        monkeypatch.undo()
        publish(lake, rival, passing(rival), dataclasses.replace(RUN, run_id="run-2"), {})
        return file_statistics(file)

    monkeypatch.setattr("lake.publish.file_statistics", other_writer_first)
    if rival_batch == "b2":
        with pytest.raises(LakeBusyError, match="same batch"):
            publish(lake, late, passing(late), RUN, {})
        assert all(f.exists() for f in late.files)
        assert plan_ids(lake) == ["p1", "p3"]
    else:
        assert publish(lake, late, passing(late), RUN, {}).version == 2
        assert plan_ids(lake) == ["p1", "p2", "p3"]


def test_an_overwrite_that_loses_the_race_leaves_the_candidate_staged(
    lake: Lake, make_candidate: CandidateMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_candidate("p1", mode="overwrite", fingerprint="f1")
    publish(lake, first, passing(first), RUN, {})
    late = make_candidate("p2", batch="b2", mode="overwrite", fingerprint="f2")
    rival = make_candidate("p3", batch="b3", mode="overwrite", fingerprint="f3")

    def other_writer_first(file: Path) -> str:
        monkeypatch.undo()
        publish(lake, rival, passing(rival), dataclasses.replace(RUN, run_id="run-2"), {})
        return file_statistics(file)

    monkeypatch.setattr("lake.publish.file_statistics", other_writer_first)
    with pytest.raises(LakeBusyError):
        publish(lake, late, passing(late), RUN, {})
    assert all(f.exists() for f in late.files)
    assert publish(lake, late, passing(late), RUN, {}).changed
    assert plan_ids(lake) == ["p2"]


def test_history_longer_than_a_page_is_complete(lake: Lake, make_candidate: CandidateMaker) -> None:
    for number in range(45):
        candidate = make_candidate(batch=f"b{number}")
        publish(lake, candidate, passing(candidate), RUN, {})
    assert [c.version for c in commits(lake, PLANS)] == list(range(44, -1, -1))
    assert has_landed(lake, PLANS, "b0")
