"""What is cleaned from a log is what no reader needs: the newest, the gated and the kept versions stay readable."""

from __future__ import annotations

import os

import pytest
from deltalake import DeltaTable

from lake.checkpoints import checkpoint
from lake.gated import GateRecord, commits, last_gated
from lake.lake import Lake
from lake.log import entry_path
from lake.log_cleaning import Cleaned, clean_log
from lake.log_listing import list_log
from lake.publish import admit
from lake.tables import table
from tests.lake.conftest import append_as_stranger, append_pending, read_rows, rows_at

PLANS = table("bronze.plans")
ADMITTED = GateRecord("run-2", "PASSED", contract_hash="c1")


def pending_rows(lake: Lake, first: int, last: int) -> None:
    for number in range(first, last + 1):
        append_pending(lake, PLANS, [f"r{number:02d}"])


def kept_versions(lake: Lake) -> tuple[list[int], list[int]]:
    listing = list_log(lake.path(PLANS))
    return sorted(listing.entries), sorted(listing.checkpoints)


def test_entries_below_the_checkpoint_of_the_oldest_kept_version_go(lake: Lake) -> None:
    pending_rows(lake, 0, 9)
    checkpoint(lake, PLANS)
    pending_rows(lake, 10, 19)
    checkpoint(lake, PLANS)
    pending_rows(lake, 20, 21)
    assert clean_log(lake, PLANS, 12) == Cleaned(9, 0)
    assert kept_versions(lake) == (list(range(9, 22)), [9, 19])
    for version in range(9, 22):
        assert rows_at(lake, PLANS, version) == [f"r{n:02d}" for n in range(version + 1)]
    assert [c.version for c in commits(lake, PLANS)] == list(range(21, 8, -1))
    assert clean_log(lake, PLANS, 12) == Cleaned(0, 0)


def test_nothing_goes_without_a_checkpoint_or_while_everything_is_kept(lake: Lake) -> None:
    pending_rows(lake, 0, 5)
    assert clean_log(lake, PLANS, 1) == Cleaned(0, 0)
    checkpoint(lake, PLANS)
    assert clean_log(lake, PLANS, 6) == Cleaned(0, 0)
    assert len(kept_versions(lake)[0]) == 6


def test_the_version_readers_read_and_its_entry_stay_however_old(lake: Lake) -> None:
    pending_rows(lake, 0, 4)
    checkpoint(lake, PLANS)
    pending_rows(lake, 5, 5)
    admit(lake, PLANS, 5, ADMITTED)
    for first in (7, 17, 27):
        pending_rows(lake, first, first + 9)
        checkpoint(lake, PLANS)
    clean_log(lake, PLANS, 1)
    assert kept_versions(lake) == (list(range(4, 37)), [4, 26, 36])
    assert read_rows(lake, PLANS) == [f"r{n:02d}" for n in range(6)]
    gated = last_gated(lake, PLANS)
    assert gated is not None
    assert (gated.version, gated.record.run_id) == (6, "run-2")


def test_a_version_admitted_below_its_commit_stays_readable(lake: Lake) -> None:
    pending_rows(lake, 0, 3)
    checkpoint(lake, PLANS)
    pending_rows(lake, 4, 7)
    checkpoint(lake, PLANS)
    admit(lake, PLANS, 5, ADMITTED)
    pending_rows(lake, 9, 12)
    checkpoint(lake, PLANS)
    clean_log(lake, PLANS, 1)
    assert min(kept_versions(lake)[0]) == 3
    assert read_rows(lake, PLANS) == [f"r{n:02d}" for n in range(6)]


def test_nothing_goes_while_rows_lie_past_the_gate(lake: Lake) -> None:
    pending_rows(lake, 0, 9)
    checkpoint(lake, PLANS)
    append_as_stranger(lake, PLANS, "s")
    assert clean_log(lake, PLANS, 1) == Cleaned(0, 0)


@pytest.mark.parametrize("checkpoint_of", [9, 19])
def test_nothing_goes_by_a_checkpoint_that_cannot_be_read(lake: Lake, checkpoint_of: int) -> None:
    pending_rows(lake, 0, 9)
    checkpoint(lake, PLANS)
    pending_rows(lake, 10, 19)
    checkpoint(lake, PLANS)
    (file,) = list_log(lake.path(PLANS)).checkpoints[checkpoint_of]
    os.truncate(file, file.stat().st_size // 2)
    assert clean_log(lake, PLANS, 8) == Cleaned(0, 0)


def test_a_cleaned_table_goes_on_and_others_read_it(lake: Lake) -> None:
    pending_rows(lake, 0, 9)
    checkpoint(lake, PLANS)
    pending_rows(lake, 10, 12)
    clean_log(lake, PLANS, 3)
    assert not entry_path(lake.path(PLANS), 8).exists()
    delta = DeltaTable(str(lake.path(PLANS)))
    assert delta.version() == 12
    assert len(delta.history()) == 4
    assert rows_at(lake, PLANS) == [f"r{n:02d}" for n in range(13)]


def test_checkpoints_stay_few_while_the_gate_does_not_open(lake: Lake) -> None:
    admit(lake, PLANS, append_pending(lake, PLANS, ["r00"]), ADMITTED)
    checkpoint(lake, PLANS)
    for first in range(2, 122, 4):
        pending_rows(lake, first, first + 3)
        checkpoint(lake, PLANS)
        clean_log(lake, PLANS, 20)
    entries, checkpoints = kept_versions(lake)
    assert entries == list(range(1, 122))
    assert len(checkpoints) <= 2 + 1 + 4 + 1
    admit(lake, PLANS, 121, ADMITTED)
    clean_log(lake, PLANS, 20)
    assert 20 <= len(kept_versions(lake)[0]) <= 20 + 5 + 4
