"""The service under faults and load: what was acknowledged is in the table, once, in the version that was named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.faults.beside import ingest_beside_upkeep
from bench.faults.clock import set_the_clock_back
from bench.faults.full_disk import can_mount, fill_the_disk
from bench.faults.fuzz import fuzz
from bench.faults.kills import kill_under_load
from bench.faults.storage import FAULTS, inject_faults
from bench.faults.twins import send_twins

Say = Callable[[str], None]
# Of each kind one; the command has them all.
STORAGE = (
    "sync takes 50 ms",
    "sync fails",
    "sync fails, 4th of 4",
    "write fails, disk full",
    "link fails",
    "unlink fails, 3rd of 3",
)
# The outcome is not what the error says.
AFTER_THE_VERSION_WAS_MADE = ("sync fails, 4th of 4", "unlink fails, 3rd of 3")
HAS_STRACE = shutil.which("strace") is not None
FROM_OUTSIDE = pytest.param(
    True, marks=pytest.mark.skipif(not HAS_STRACE, reason="the same is done from inside"), id="from outside"
)


def test_kills_under_load_lose_and_double_nothing(tmp_path: Path, say: Say) -> None:
    killed = kill_under_load(tmp_path, kills=6)
    say(f"{killed}")
    assert killed.kills == {"writer": 3, "worker": 2, "everything": 1}
    assert killed.closings == 7
    assert killed.books.is_exact
    assert killed.books.acknowledged > 100


@pytest.mark.skipif(not can_mount(), reason="a full disk needs a mount of its own")
def test_a_full_disk_is_answered_with_503_and_with_more_room_the_same_processes_go_on(tmp_path: Path, say: Say) -> None:
    full = fill_the_disk(tmp_path)
    say(f"{full}")
    assert full.refused == 20
    assert set(full.statuses) == {"201", "503"}
    assert full.books_while_full.is_exact
    assert full.books.is_exact
    assert full.books.acknowledged > full.books_while_full.acknowledged
    assert full.same_processes


@pytest.mark.parametrize("from_outside", [pytest.param(False, id="from inside"), FROM_OUTSIDE])
def test_storage_that_fails_or_is_late_loses_and_doubles_nothing(tmp_path: Path, say: Say, from_outside: bool) -> None:
    faults = STORAGE if from_outside or not HAS_STRACE else AFTER_THE_VERSION_WAS_MADE
    for done in inject_faults(tmp_path, seconds=0.8, faults=faults, from_outside=from_outside):
        say(f"{done}")
        assert done.struck > 0
        assert done.books.is_exact
        assert done.books.acknowledged > 20
        # Nobody is told anything else than "taken" or "come back".
        assert set(done.statuses) <= {"201", "503"}
    assert set(STORAGE) <= set(FAULTS)


def test_upkeep_beside_ingest_disturbs_neither_rows_nor_readers(tmp_path: Path, say: Say) -> None:
    beside = ingest_beside_upkeep(tmp_path, seconds=8)
    say(f"{beside}")
    assert beside.books.is_exact
    assert beside.reads.failures == []
    assert beside.compactions > 0
    assert beside.checkpoints > 0
    assert min(beside.reads.pinned, beside.reads.proofs, beside.reads.vacuums) > 3


def test_a_clock_set_back_changes_no_order_and_forgets_no_repeat(tmp_path: Path, say: Say) -> None:
    back = set_the_clock_back(tmp_path)
    say(f"{back}")
    assert back.commits == 8
    assert back.known == back.repeats == 28
    assert back.twice == 0
    assert back.in_order


def test_of_twins_sent_at_once_through_four_workers_one_gets_in_and_everyone_is_told_the_truth(
    tmp_path: Path, say: Say
) -> None:
    twins = send_twins(tmp_path, ids=200)
    say(f"{twins}")
    assert twins.in_table == twins.ids == 200
    assert (twins.twice, twins.wrong) == (0, 0)
    assert set(twins.statuses) == {201, 409}
    assert twins.statuses.total() == 600


def test_no_answer_to_made_up_requests_breaks_the_openapi_document(tmp_path: Path, say: Say) -> None:
    fuzzed = fuzz(tmp_path, examples=5)
    say(f"{fuzzed}")
    assert fuzzed.failures == ""
    assert fuzzed.server_errors == 0
    assert fuzzed.alive
    assert fuzzed.requests > 300
