"""Vacuum deletes what no kept version needs, never what readers read, and tells of it in the log."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from deltalake import DeltaTable

from lake.compaction import compact
from lake.gated import GateRecord, last_gated, standing
from lake.lake import Lake
from lake.log import read_entry
from lake.publish import admit, publish
from lake.tables import table
from lake.vacuum import vacuum
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

# At once, not after a month.
PLANS = dataclasses.replace(table("bronze.plans"), retention_days=0)
ADMITTED = GateRecord("run-2", "PASSED", contract_hash="c1")


def data_files(lake: Lake) -> list[Path]:
    return sorted(lake.path(PLANS).rglob("*.parquet"))


def published(lake: Lake, make_candidate: CandidateMaker, count: int) -> None:
    for number in range(count):
        candidate = make_candidate(f"p{number}", batch=f"b{number}")
        publish(lake, candidate, passing(candidate), RUN, {})


def test_merged_and_stray_files_go_and_readers_read_on(lake: Lake, make_candidate: CandidateMaker) -> None:
    published(lake, make_candidate, 3)
    compact(lake, PLANS, min_files=2)
    stray = lake.path(PLANS) / "0000000009-killed-00000.parquet"
    stray.write_bytes(b"left by a kill before the commit")
    assert vacuum(lake, PLANS) == 4
    assert len([f for f in data_files(lake) if "_delta_log" not in f.parts]) == 1
    assert read_rows(lake, PLANS) == rows_at(lake, PLANS) == ["p0", "p1", "p2"]
    newest = newest_version(lake, PLANS)
    operations = [read_entry(lake.path(PLANS), v).info["operation"] for v in (newest - 1, newest)]  # type: ignore[union-attr]
    assert operations == ["VACUUM START", "VACUUM END"]
    gated = last_gated(lake, PLANS)
    assert gated is not None
    assert (gated.version, gated.record.batches) == (newest, ("b2",))


def test_nothing_to_delete_leaves_the_table_as_it_is(lake: Lake, make_candidate: CandidateMaker) -> None:
    assert vacuum(lake, PLANS) == 0, "never written"
    published(lake, make_candidate, 2)
    assert vacuum(lake, PLANS) == 0
    assert newest_version(lake, PLANS) == 1


def test_files_younger_than_the_retention_stay(lake: Lake, make_candidate: CandidateMaker) -> None:
    published(lake, make_candidate, 2)
    compact(lake, PLANS, min_files=2)
    assert vacuum(lake, table("bronze.plans")) == 0
    assert rows_at(lake, PLANS, 1) == ["p0", "p1"]


def test_what_readers_read_stays_until_a_gate_lets_in_something_newer(
    lake: Lake, make_candidate: CandidateMaker
) -> None:
    published(lake, make_candidate, 2)
    waiting = append_pending(lake, PLANS, ["r0"])
    compact(lake, PLANS, min_files=2)
    assert vacuum(lake, PLANS) == 0
    assert read_rows(lake, PLANS) == ["p0", "p1"]
    newest = newest_version(lake, PLANS)
    found = standing(lake.path(PLANS), newest)
    assert (found.last_open, found.pending, found.clean) == (1, True, True)
    admit(lake, PLANS, newest, ADMITTED)
    assert waiting < newest
    assert vacuum(lake, PLANS) == 2
    assert read_rows(lake, PLANS) == ["p0", "p1", "r0"]


def test_rows_that_wait_survive_it_and_go_on_waiting(lake: Lake) -> None:
    for number in range(3):
        append_pending(lake, PLANS, [f"r{number}"])
    compact(lake, PLANS, min_files=2)
    assert vacuum(lake, PLANS) == 3
    append_pending(lake, PLANS, ["r3"])
    assert rows_at(lake, PLANS) == ["r0", "r1", "r2", "r3"]
    assert last_gated(lake, PLANS) is None


def test_past_the_gate_nothing_is_deleted(lake: Lake, make_candidate: CandidateMaker) -> None:
    published(lake, make_candidate, 2)
    DeltaTable(str(lake.path(PLANS))).optimize.compact()
    append_as_stranger(lake, PLANS, "s")
    before = data_files(lake)
    assert vacuum(lake, PLANS) == 0
    assert data_files(lake) == before
