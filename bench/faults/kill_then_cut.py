"""kill -9 of a writer in the middle of a commit, and a power cut under the writer that follows it.

The first one leaves names that nobody asked the disk to keep; the second answers repeats from what it finds. It may not
say of a row that it is there before it has made sure that the row outlasts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.faults.calls import Call, Kind
from bench.faults.cut_writer import FROM_INSIDE, NEVER, Groups, Recorder, acknowledged, requests, watch_writer
from bench.faults.disk import Disk, write_image
from bench.faults.power_cut import Verdict, cut_everywhere

_SETTINGS = {"checkpoint_commits": NEVER, "compact_files": NEVER}
_COMMITS = 2


@dataclass(frozen=True, slots=True)
class KilledAt:
    """A kill right after one call of a commit, and all power cuts under the writer that followed."""

    call: Call
    verdict: Verdict


def kill_then_cut(
    folder: Path, *, seeds: int, kinds: frozenset[Kind] = frozenset(Kind), recorder: Recorder = FROM_INSIDE
) -> Iterator[KilledAt]:
    """Kill after each call of the second commit; the next writer is sent the same rows again.

    Args:
        folder: Empty directory.
        seeds: Random losses tried at each cut.
        kinds: Kill after calls of these kinds alone.
        recorder: How to watch the writers.

    Raises:
        BenchError: A writer did not do its part.
    """
    root, groups = folder / "disk", requests(_COMMITS)
    root.mkdir()
    calls = watch_writer(root, folder, groups, _SETTINGS, recorder)
    tells = [n for n, call in enumerate(calls) if call.kind is Kind.TELL and acknowledged(groups)(call)[0]]
    first = acknowledged(groups[:1])(calls[tells[0]])[0]
    for number in range(tells[0] + 1, tells[1]):
        if calls[number].kind in kinds and calls[number].kind is not Kind.TELL:
            verdict = _next_life(folder / str(number), calls[: number + 1], groups, first, seeds, recorder)
            yield KilledAt(calls[number], verdict)


def _next_life(
    folder: Path, calls: list[Call], groups: Groups, first: Sequence[str], seeds: int, recorder: Recorder
) -> Verdict:
    root, empty = folder / "disk", folder / "empty"
    empty.mkdir(parents=True)
    disk = Disk(empty)
    for call in calls:
        disk.apply(call)
    disk.processes_are_killed()
    write_image(disk.image(), root)
    more = watch_writer(root, folder, groups, _SETTINGS, recorder)
    return cut_everywhere(
        root, disk, more, acknowledged(groups), folder / "scratch", seeds=seeds, ledger=True, already=first
    )
