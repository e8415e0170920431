"""Power cuts: the model of a disk by itself, then at every system call of a real writer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.faults.calls import Call, Kind
from bench.faults.cut_writer import FROM_INSIDE, FROM_OUTSIDE, Recorder, cut_our_writer, cut_plain_writer
from bench.faults.disk import Disk, Loss
from bench.faults.kill_then_cut import kill_then_cut
from bench.faults.strace import read_trace
from lake.errors import MissingToolError

Say = Callable[[str], None]
HAS_STRACE = shutil.which("strace") is not None
# Without strace the same is seen from inside, but for what native code does.
RECORDER = FROM_OUTSIDE if HAS_STRACE else FROM_INSIDE


def disk_after(root: Path, *calls: Call) -> Disk:
    disk = Disk(root)
    for call in calls:
        disk.apply(call)
    return disk


def sync(path: str, number: int) -> tuple[Call, Call]:
    return Call(Kind.SYNC_BEGIN, path, at=number), Call(Kind.SYNC, path, at=number)


def test_a_file_outlasts_with_what_its_sync_covered_and_its_name_with_the_sync_of_its_directory(tmp_path: Path) -> None:
    write = (Call(Kind.CREATE, "f"), Call(Kind.WRITE, "f", content=b"kept"), *sync("f", 1))
    more = Call(Kind.WRITE, "f", content=b" lost")
    assert disk_after(tmp_path, *write).image(Loss.EVERYTHING) == {}
    assert disk_after(tmp_path, *write, more, *sync(".", 2)).image(Loss.EVERYTHING) == {"f": b"kept"}
    assert disk_after(tmp_path, *write, more).image(Loss.BYTES) == {"f": b"kept"}
    assert disk_after(tmp_path, *write, more).image(Loss.ZEROS) == {"f": b"kept\0\0\0\0\0"}
    assert disk_after(tmp_path, *write, more).image() == {"f": b"kept lost"}


def test_a_sync_covers_what_was_there_when_it_began_and_an_older_one_undoes_no_newer(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    begin, end = sync("f", 1)
    newer_begin, newer_end = sync("f", 2)
    write = Call(Kind.WRITE, "f", content=b"x")
    assert disk_after(tmp_path, begin, write, end).image(Loss.BYTES) == {"f": b""}
    assert disk_after(tmp_path, begin, write, newer_begin, newer_end, end).image(Loss.BYTES) == {"f": b"x"}


def test_random_losses_are_repeatable_and_reach_both_outcomes_of_a_rename(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    disk = disk_after(tmp_path, Call(Kind.RENAME, "a", "b"))
    images = [disk.image(Loss.RANDOM, seed) for seed in range(40)]
    assert images == [disk.image(Loss.RANDOM, seed) for seed in range(40)]
    assert {"a": b"x"} in images
    assert {"b": b"x"} in images


@pytest.mark.parametrize("recorder", [FROM_INSIDE, RECORDER], ids=["from inside", "from outside"])
def test_no_power_cut_loses_or_doubles_an_acknowledged_row_or_tears_a_commit(
    tmp_path: Path, recorder: Recorder, say: Say
) -> None:
    verdict = cut_our_writer(tmp_path, commits=6, seeds=2, recorder=recorder)
    say(f"{verdict.calls} system calls cut at, {verdict.images} disks, {verdict.acknowledged} rows acknowledged")
    assert verdict.examples == []
    assert (verdict.lost, verdict.doubled) == (0, 0)
    # Nothing of ours had to be mended: names and bytes come to the disk in an order that tears nothing.
    assert verdict.mended == {}
    assert verdict.acknowledged == 42
    assert verdict.calls > 100


def test_a_power_cut_during_checkpoints_and_compaction_loses_nothing_either(tmp_path: Path, say: Say) -> None:
    if not HAS_STRACE:
        # What delta-rs does is seen from outside only; the command says so.
        with pytest.raises(MissingToolError, match="apt-get install strace"):
            cut_our_writer(tmp_path, commits=6, seeds=0, keep_every=2)
        return
    verdict = cut_our_writer(tmp_path, commits=6, seeds=0, keep_every=2)
    merged = [call for call in read_trace(tmp_path / "trace", tmp_path / "disk") if "compacted" in call.target]
    say(f"{verdict.calls} system calls cut at, {verdict.images} disks, mended: {dict(verdict.mended)}")
    assert merged, "nothing was compacted"
    assert verdict.examples == []
    assert (verdict.lost, verdict.doubled) == (0, 0)
    # delta-rs syncs no checkpoint itself, so it writes beside the log; what gets a name there is whole.
    assert verdict.mended == {}


@pytest.mark.skipif(not HAS_STRACE, reason="what delta-rs does is seen from outside only")
def test_the_model_sees_what_a_writer_loses_that_syncs_nothing(tmp_path: Path, say: Say) -> None:
    verdict = cut_plain_writer(tmp_path, commits=3, seeds=2)
    say(f"{verdict.calls} system calls cut at, {verdict.lost} of {verdict.acknowledged} rows lost")
    assert verdict.lost == verdict.acknowledged == 3
    assert any("torn log entry" in what for what in verdict.mended)


def test_a_writer_tells_of_no_row_of_a_killed_one_before_it_outlasts(tmp_path: Path, say: Say) -> None:
    # Right after the version was made, before its name was kept.
    killed = list(kill_then_cut(tmp_path, seeds=2, kinds=frozenset({Kind.LINK})))
    assert len(killed) == 1
    assert killed[0].call.target.endswith("00000000000000000001.json")
    verdict = killed[0].verdict
    say(f"{verdict.calls} system calls cut at, {verdict.images} disks, {verdict.acknowledged} rows acknowledged")
    assert verdict.examples == []
    assert (verdict.lost, verdict.doubled) == (0, 0)
    assert verdict.acknowledged == 5
