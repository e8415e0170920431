"""What the power is cut from: our writer as it is, and a writer as most people write it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from api.writer.frames import LENGTH_BYTES, frame
from api.writer.protocol import BatchCommitted, Committed, Reply, Request, replies_decoder
from bench.faults.calls import Call, Kind
from bench.faults.disk import Disk
from bench.faults.in_process import note, read_recorded, recorded
from bench.faults.power_cut import LAKE, Verdict, cut_everywhere
from bench.faults.strace import read_trace, watched
from bench.faults.writing import Driver, batch, row, writing
from bench.measure import BenchError

# Ids in bronze and payloads in quarantine that an answer to each request promises, by the request's number.
Promises = dict[int, tuple[Sequence[str], Sequence[str]]]
Groups = list[tuple[list[Request], Promises]]
_REFUSED_EVERY = 3
# So that rows together are several files of one commit.
_FILE_ROWS = 2
# More commits than are ever made here.
NEVER = 100_000

# Rows one by one, appended as the documentation of deltalake shows it, told once the library says that it is done.
_PLAIN = """
import sys
import pyarrow as pa
from deltalake import write_deltalake
for n in range(int(sys.argv[2])):
    write_deltalake(sys.argv[1], pa.table({"transaction_id": [f"t-{n}"]}), mode="append")
    print(f"t-{n}", flush=True)
"""


class Acknowledged:
    """Reads off a trace what the writer answered to requests that are known by their numbers.

    Args:
        promises: Ids and refused payloads of each request.
    """

    def __init__(self, promises: Promises) -> None:
        self._promises = promises
        self._received: dict[str, bytes] = {}

    def __call__(self, call: Call) -> tuple[Sequence[str], Sequence[str]]:
        if not call.path.startswith(("socket:", "UNIX")):
            return (), ()
        data = self._received.pop(call.path, b"") + call.content
        ids: list[str] = []
        payloads: list[str] = []
        while len(data) >= LENGTH_BYTES and len(data) >= (end := LENGTH_BYTES + int.from_bytes(data[:4], "big")):
            for reply in replies_decoder.decode(data[LENGTH_BYTES:end]):
                if isinstance(reply, Committed | BatchCommitted):
                    ids += self._promises[reply.seq][0]
                    payloads += self._promises[reply.seq][1]
            data = data[end:]
        self._received[call.path] = data
        return ids, payloads


def requests(commits: int) -> Groups:
    """Groups to be sent one after another, and what an answer to each request promises.

    A row, which creates the table; rows together; a batch with refused rows; then again.
    """
    groups: Groups = []
    seq = 0
    for n in range(commits):
        group: list[Request] = []
        promises: Promises = {}
        for _ in range(1 if n % _REFUSED_EVERY == 0 else 4):
            seq += 1
            ids, refused = [f"t-{seq}-{i}" for i in range(3)], [f'{{"refused": {seq}}}']
            if n % _REFUSED_EVERY == _REFUSED_EVERY - 1:
                group.append(batch(seq, ids, refused))
                promises[seq] = (ids, refused)
            else:
                group.append(row(seq, ids[0]))
                promises[seq] = (ids[:1], [])
        groups.append((group, promises))
    return groups


@dataclass(frozen=True, slots=True)
class Recorder:
    """A way to watch the writer.

    Args:
        command: Makes the command to start, from the writer's own, the directory watched and the trace.
        read: Reads the trace.
        told: Called with the trace and the answers that have arrived.
    """

    command: Callable[[Sequence[str], Path, Path], Sequence[str]]
    read: Callable[[Path, Path], list[Call]]
    told: Callable[[Path, list[Reply]], None]


def _watched(command: Sequence[str], _: Path, trace: Path) -> list[str]:
    return watched(command, trace)


def _recorded(_: Sequence[str], root: Path, trace: Path) -> list[str]:
    return recorded(root, trace)


def _read_recorded(trace: Path, _: Path) -> list[Call]:
    return read_recorded(trace)


def _is_in_the_trace(_: Path, __: list[Reply]) -> None:
    """The socket the answers went through was watched."""


def _note_answers(trace: Path, replies: list[Reply]) -> None:
    note(trace, Call(Kind.TELL, "socket:driver", content=bytes(frame(replies))))


FROM_OUTSIDE = Recorder(_watched, read_trace, _is_in_the_trace)
FROM_INSIDE = Recorder(_recorded, _read_recorded, _note_answers)


def cut_our_writer(
    folder: Path, *, commits: int, seeds: int, keep_every: int | None = None, recorder: Recorder = FROM_OUTSIDE
) -> Verdict:
    """Cut the power from our writer while it creates a lake and commits to it.

    Args:
        folder: Empty directory.
        commits: Groups of requests.
        seeds: Random losses tried at each cut.
        keep_every: Checkpoint and compact after so many commits; None: never.
        recorder: How to watch it.

    Raises:
        MissingToolError: No strace.
        BenchError: The writer did not do its part.
    """
    root = folder / "disk"
    root.mkdir()
    disk, groups = Disk(root), requests(commits)
    due = keep_every or NEVER
    settings = {"checkpoint_commits": due, "compact_files": due}
    calls = watch_writer(root, folder, groups, settings, recorder)
    return cut_everywhere(root, disk, calls, acknowledged(groups), folder / "scratch", seeds=seeds, ledger=True)


def watch_writer(
    root: Path, folder: Path, groups: Groups, settings: Mapping[str, object], recorder: Recorder
) -> list[Call]:
    """What a writer of the lake below `root` does while it takes groups one after another.

    Raises:
        MissingToolError: No strace.
        BenchError: The writer did not do its part.
    """
    trace = folder / "trace"

    def command(writer: Sequence[str]) -> Sequence[str]:
        return recorder.command(writer, root, trace)

    async def drive() -> None:
        async with writing(
            root / LAKE, {"max_file_rows": _FILE_ROWS, **settings}, folder / "writer.log", command=command
        ) as driver:
            for group, _ in groups:
                recorder.told(trace, await _committed(driver, group))

    asyncio.run(drive())
    return recorder.read(trace, root)


def acknowledged(groups: Groups) -> Acknowledged:
    """Reads off a trace which rows of these groups were acknowledged."""
    return Acknowledged({seq: promise for _, promised in groups for seq, promise in promised.items()})


async def _committed(driver: Driver, group: list[Request]) -> list[Reply]:
    replies = await driver.ask(*group)
    for reply in replies:
        if not isinstance(reply, Committed | BatchCommitted):
            raise BenchError(f"the writer answered {reply!r}")
    return replies


def cut_plain_writer(folder: Path, *, commits: int, seeds: int) -> Verdict:
    """Cut the power from `write_deltalake`, for comparison: it syncs nothing.

    Raises:
        MissingToolError: No strace.
        BenchError: It failed.
    """
    root, trace = folder / "disk", folder / "trace"
    table = root / LAKE / "bronze" / "transactions"
    table.mkdir(parents=True)
    before = Disk(root)
    command = watched([sys.executable, "-c", _PLAIN, str(table), str(commits)], trace)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"write_deltalake failed:\n{done.stderr[-2000:]}")
    return cut_everywhere(
        root, before, read_trace(trace, root), _printed, folder / "scratch", seeds=seeds, ledger=False
    )


def _printed(call: Call) -> tuple[Sequence[str], Sequence[str]]:
    return (call.content.decode().split(), ()) if call.path.startswith("pipe:") else ((), ())
