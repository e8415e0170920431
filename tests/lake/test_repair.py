"""Whatever a power cut tears, the commits that are whole can be read again, and nothing of ours is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lake import log
from lake.aside import Repaired
from lake.checkpoints import checkpoint
from lake.durable import TEMPORARY_PREFIX
from lake.errors import StorageError
from lake.gated import last_gated, standing
from lake.lake import Lake
from lake.log import LOG, entry_path
from lake.publish import publish
from lake.repair import repair
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
ONE_BYTE, HALF = 1, None
LENGTHS = (0, ONE_BYTE, 40, HALF, -1, -40)


def log_of(lake: Lake) -> Path:
    return lake.path(PLANS) / LOG


def stranger_commits(lake: Lake, count: int) -> None:
    for number in range(count):
        append_as_stranger(lake, PLANS, f"s{number}")


def cut(file: Path, length: int | None) -> None:
    """To so many bytes; negative ones from its end, None half of it."""
    size = file.stat().st_size
    os.truncate(file, size // 2 if length is None else length % size)


def zero(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def everything(directory: Path) -> dict[str, bytes]:
    return {str(f.relative_to(directory)): f.read_bytes() for f in directory.rglob("*") if f.is_file()}


def whats(done: list[Repaired]) -> list[str]:
    return [d.what for d in done]


def test_a_table_in_order_is_left_untouched(lake: Lake, make_candidate: CandidateMaker) -> None:
    assert repair(lake, PLANS) == [], "never written"
    candidate = make_candidate("p1")
    publish(lake, candidate, passing(candidate), RUN, {})
    stranger_commits(lake, 2)
    checkpoint(lake, PLANS)
    DeltaTable(str(lake.path(PLANS))).optimize.compact()
    append_pending(lake, PLANS, ["r1"])
    before = everything(lake.path(PLANS))
    assert repair(lake, PLANS) == []
    assert everything(lake.path(PLANS)) == before


@pytest.mark.parametrize("length", LENGTHS)
def test_a_cut_newest_entry_is_moved_aside(lake: Lake, length: int | None) -> None:
    stranger_commits(lake, 3)
    newest = entry_path(lake.path(PLANS), 2)
    cut(newest, length)
    torn = newest.read_bytes()
    done = repair(lake, PLANS)
    assert whats(done) == ["torn log entry"]
    assert done[0].now is not None
    assert done[0].now.read_bytes() == torn
    assert done[0].now.name == ".torn-2-0"
    assert rows_at(lake, PLANS) == ["s0", "s1"]
    assert repair(lake, PLANS) == []
    append_as_stranger(lake, PLANS, "again")
    assert rows_at(lake, PLANS) == ["again", "s0", "s1"]


def test_every_length_of_a_torn_entry_gives_the_rows_before_it_or_all(lake: Lake) -> None:
    stranger_commits(lake, 2)
    newest = entry_path(lake.path(PLANS), 1)
    whole = newest.read_bytes()
    for length in range(len(whole)):
        newest.write_bytes(whole[:length])
        assert whats(repair(lake, PLANS)) == ["torn log entry"], length
    newest.write_bytes(whole)
    assert repair(lake, PLANS) == []
    assert len(list(log_of(lake).glob(".torn-1-*"))) == len(whole)


def test_an_entry_of_zeros_is_moved_aside_and_so_are_several_torn_ones(lake: Lake) -> None:
    stranger_commits(lake, 4)
    zero(entry_path(lake.path(PLANS), 3))
    cut(entry_path(lake.path(PLANS), 2), 0)
    assert whats(repair(lake, PLANS)) == ["torn log entry"] * 2
    assert rows_at(lake, PLANS) == ["s0", "s1"]


def test_the_first_entry_torn_leaves_a_table_that_was_never_written(lake: Lake, make_candidate: CandidateMaker) -> None:
    stranger_commits(lake, 1)
    cut(entry_path(lake.path(PLANS), 0), 0)
    repair(lake, PLANS)
    assert lake.open(PLANS) is None
    candidate = make_candidate("p1")
    assert publish(lake, candidate, passing(candidate), RUN, {}).version == 0


def test_rows_of_ours_below_a_torn_entry_stay(lake: Lake) -> None:
    append_pending(lake, PLANS, ["r0"])
    append_pending(lake, PLANS, ["r1"])
    append_as_stranger(lake, PLANS, "s")
    cut(entry_path(lake.path(PLANS), 2), HALF)
    repair(lake, PLANS)
    assert rows_at(lake, PLANS) == ["r0", "r1"]
    assert standing(lake.path(PLANS), 1).clean
    assert append_pending(lake, PLANS, ["r2"]) == 2


def test_a_torn_entry_below_others_is_named(lake: Lake) -> None:
    stranger_commits(lake, 3)
    cut(entry_path(lake.path(PLANS), 1), 10)
    before = everything(lake.path(PLANS))
    with pytest.raises(StorageError, match=r"00000000000000000001\.json.*torn"):
        repair(lake, PLANS)
    assert everything(lake.path(PLANS)) == before


def test_a_version_that_is_missing_below_others_is_named(lake: Lake) -> None:
    stranger_commits(lake, 3)
    entry_path(lake.path(PLANS), 1).unlink()
    with pytest.raises(StorageError, match="lacks version 1"):
        repair(lake, PLANS)


def test_checksums_that_other_writers_keep_of_a_torn_entry_go_with_it(lake: Lake) -> None:
    stranger_commits(lake, 2)
    hidden, version = log_of(lake) / ".00000000000000000001.json.crc", log_of(lake) / "00000000000000000001.crc"
    hidden.write_bytes(b"crc")
    version.write_bytes(b"{}")
    cut(entry_path(lake.path(PLANS), 1), 0)
    assert len(repair(lake, PLANS)) == 3
    assert not hidden.exists()
    assert not version.exists()


@pytest.mark.parametrize("harm", [Path.unlink, lambda f: cut(f, 0), lambda f: cut(f, HALF), lambda f: cut(f, -1), zero])
def test_newest_commits_whose_data_is_lost_are_moved_aside(lake: Lake, harm: Callable[[Path], None]) -> None:
    stranger_commits(lake, 4)
    delta = DeltaTable(str(lake.path(PLANS)), version=2)
    before = set(DeltaTable(str(lake.path(PLANS)), version=1).file_uris())
    (lost,) = set(delta.file_uris()) - before
    harm(Path(lost))
    done = repair(lake, PLANS)
    assert [d.now.name for d in done if d.now] == [".torn-3-0", ".torn-2-0"]
    assert rows_at(lake, PLANS) == ["s0", "s1"]
    assert repair(lake, PLANS) == []


def test_a_checkpoint_of_what_is_moved_aside_goes_with_it(lake: Lake) -> None:
    stranger_commits(lake, 3)
    for version in (1, 2):
        DeltaTable(str(lake.path(PLANS)), version=version).create_checkpoint()
    cut(entry_path(lake.path(PLANS), 2), 0)
    done = repair(lake, PLANS)
    assert [d.now.name for d in done if d.now] == [".torn-2-0", ".torn-2-1", ".torn-last_checkpoint-0"]
    assert rows_at(lake, PLANS) == ["s0", "s1"]


def test_a_lost_compaction_below_acknowledged_rows_is_undone(lake: Lake) -> None:
    rows = ["r0", "r1", "r2"]
    for row in rows:
        append_pending(lake, PLANS, [row])
    delta = DeltaTable(str(lake.path(PLANS)))
    delta.optimize.compact()
    (merged,) = delta.file_uris()
    append_pending(lake, PLANS, ["r3"])
    cut(Path(merged), 0)
    (done,) = repair(lake, PLANS)
    assert "back in version 5" in done.what
    assert rows_at(lake, PLANS) == [*rows, "r3"]
    assert repair(lake, PLANS) == []
    found = standing(lake.path(PLANS), 5)
    assert (found.pending, found.clean, found.last_open) == (True, True, None)


def test_a_lost_compaction_whose_sources_are_gone_is_left_to_a_person(lake: Lake) -> None:
    for row in ("r0", "r1"):
        append_pending(lake, PLANS, [row])
    delta = DeltaTable(str(lake.path(PLANS)))
    delta.optimize.compact()
    delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    (merged,) = delta.file_uris()
    append_pending(lake, PLANS, ["r2"])
    cut(Path(merged), HALF)
    before = everything(lake.path(PLANS))
    with pytest.raises(StorageError, match="is gone"):
        repair(lake, PLANS)
    assert everything(lake.path(PLANS)) == before


def test_a_file_we_had_synced_is_never_given_up(lake: Lake) -> None:
    append_pending(lake, PLANS, ["r0"])
    append_pending(lake, PLANS, ["r1"])
    lost = next(lake.path(PLANS).glob("0000000001-*.parquet"))
    lost.unlink()
    with pytest.raises(StorageError, match="synced when it was committed"):
        repair(lake, PLANS)
    assert newest_version(lake, PLANS) == 1


def test_files_that_a_later_version_took_out_may_be_gone(lake: Lake) -> None:
    stranger_commits(lake, 3)
    delta = DeltaTable(str(lake.path(PLANS)))
    delta.optimize.compact()
    delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert repair(lake, PLANS) == []
    assert rows_at(lake, PLANS) == ["s0", "s1", "s2"]


@pytest.mark.parametrize("harm", [lambda f: cut(f, 0), lambda f: cut(f, HALF), lambda f: cut(f, -1), zero])
def test_a_torn_checkpoint_is_moved_aside_while_its_entries_are_there(lake: Lake, harm: Callable[[Path], None]) -> None:
    stranger_commits(lake, 3)
    DeltaTable(str(lake.path(PLANS))).create_checkpoint()
    harm(next(log_of(lake).glob("*.checkpoint.parquet")))
    done = repair(lake, PLANS)
    assert whats(done) == ["torn checkpoint", "hint to checkpoint 2, which is not there"]
    assert rows_at(lake, PLANS) == ["s0", "s1", "s2"]
    assert repair(lake, PLANS) == []


def test_zeros_in_the_middle_of_the_newest_checkpoint_are_found(lake: Lake) -> None:
    stranger_commits(lake, 3)
    DeltaTable(str(lake.path(PLANS))).create_checkpoint()
    file = next(log_of(lake).glob("*.checkpoint.parquet"))
    content = file.read_bytes()
    file.write_bytes(content[:4] + bytes(2_000) + content[2_004:])
    assert "torn checkpoint" in whats(repair(lake, PLANS))
    assert rows_at(lake, PLANS) == ["s0", "s1", "s2"]


def test_a_torn_checkpoint_whose_entries_are_gone_is_an_error(lake: Lake) -> None:
    stranger_commits(lake, 3)
    DeltaTable(str(lake.path(PLANS))).create_checkpoint()
    cut(next(log_of(lake).glob("*.checkpoint.parquet")), HALF)
    entry_path(lake.path(PLANS), 0).unlink()
    before = everything(lake.path(PLANS))
    with pytest.raises(StorageError, match="version 0 that it stands for"):
        repair(lake, PLANS)
    assert everything(lake.path(PLANS)) == before


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"\0\0\0", b'{"version":7,"size":3}'])
def test_a_hint_that_leads_nowhere_is_moved_aside(lake: Lake, content: bytes) -> None:
    stranger_commits(lake, 2)
    DeltaTable(str(lake.path(PLANS))).create_checkpoint()
    (log_of(lake) / "_last_checkpoint").write_bytes(content)
    (done,) = repair(lake, PLANS)
    assert "hint" in done.what
    assert rows_at(lake, PLANS) == ["s0", "s1"]


def test_what_dead_processes_left_unfinished_is_deleted_what_others_write_stays(lake: Lake) -> None:
    stranger_commits(lake, 1)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        places = (lake.path(PLANS), log_of(lake))
        files = {
            process: [place / f"{TEMPORARY_PREFIX}{process}-x.parquet" for place in places]
            for process in (ended.pid, os.getpid(), living.pid)
        }
        for file in (f for pair in files.values() for f in pair):
            file.touch()
        assert len(repair(lake, PLANS)) == 4
        assert not any(f.exists() for f in (*files[ended.pid], *files[os.getpid()]))
        assert all(f.exists() for f in files[living.pid])
        living.communicate(b"\n")


def test_a_gated_table_is_read_again_after_a_cut_by_somebody_else(lake: Lake, make_candidate: CandidateMaker) -> None:
    candidate = make_candidate("p1", "p2")
    publish(lake, candidate, passing(candidate), RUN, {})
    append_as_stranger(lake, PLANS, "s")
    cut(entry_path(lake.path(PLANS), 1), HALF)
    with pytest.raises(StorageError):
        last_gated(lake, PLANS)
    repair(lake, PLANS)
    assert read_rows(lake, PLANS) == ["p1", "p2"]
    late = make_candidate("p3", batch="b2")
    publish(lake, late, passing(late), RUN, {})
    assert read_rows(lake, PLANS) == ["p1", "p2", "p3"]


def test_a_copy_made_while_rows_come_in_is_mended_to_a_whole_version(lake: Lake, tmp_path: Path) -> None:
    rows = [f"s{n}" for n in range(6)]
    stranger_commits(lake, 6)
    files = sorted(log_of(lake).glob("*.json"))
    data = sorted(lake.path(PLANS).glob("*.parquet"), key=lambda f: f.stat().st_mtime_ns)
    for lost_entries in range(4):
        for lost_files in range(4):
            copy = Lake(tmp_path / f"copy-{lost_entries}-{lost_files}")
            shutil.copytree(lake.root, copy.root)
            for file in files[6 - lost_entries :]:
                cut(copy.path(PLANS) / LOG / file.name, 0)
            for file in data[6 - lost_files :]:
                cut(copy.path(PLANS) / file.name, 0)
            repair(copy, PLANS)
            assert rows_at(copy, PLANS) == rows[: 6 - max(lost_entries, lost_files)]


def test_entries_that_count_their_files_in_other_words_are_not_taken_for_torn(lake: Lake) -> None:
    stranger_commits(lake, 1)
    metrics = {"numFiles": "1", "numOutputRows": "1"}
    info = {"operation": "WRITE", "engineInfo": "Apache-Spark/4.1", "operationMetrics": metrics}
    log.write_entry(lake.path(PLANS), 1, [{"commitInfo": info}])
    assert repair(lake, PLANS) == []
    assert rows_at(lake, PLANS) == ["s0"]
