"""A disk that fills up under load: ``python -m bench.faults.full_disk FOLDER`` in a mount namespace of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.faults.books import Books, close_books, told
from bench.faults.callers import Callers
from bench.faults.service import Service
from bench.ingest.bodies import Bodies, Form, make_bodies
from bench.measure import BenchError
from lake.errors import MissingToolError
from lake.settings import PROJECT_ROOT

_ROOM_MIB, _LEFT_KIB = 600, 192
_ANSWERS, _REFUSALS = 50, 20
_CONNECTIONS = 8
_UNAVAILABLE, _CREATED = 503, 201
_PATIENCE_S, _PAUSE_S = 60.0, 0.05
# Numbers of requests beside the load's.
_PROBES_FROM = 1_000_000


@dataclass(frozen=True, slots=True)
class FullDisk:
    """What a full disk came to.

    Args:
        refused: Answers of 503 with Retry-After while it was full, of requests made for this beside the load.
        statuses: Answers that the load got, by status.
        books_while_full: Closed while the disk was full.
        books: Closed at the end.
        same_processes: Whether the service went on in the same processes.
        longest_answer_s: Longest time from sending a request first to success, s.
    """

    refused: int
    statuses: dict[str, int]
    books_while_full: Books
    books: Books
    same_processes: bool
    longest_answer_s: float


def fill_the_disk(folder: Path) -> FullDisk:
    """Run this module where it may mount a small file system.

    Raises:
        MissingToolError: That needs root and `unshare`.
        BenchError: It failed; the message holds its last output.
    """
    if not can_mount():
        raise MissingToolError("a full disk needs a mount of its own", mend="run as root, with util-linux installed")
    command = ["unshare", "-m", sys.executable, "-m", "bench.faults.full_disk", str(folder)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the disk could not be filled:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return FullDisk(**found | {name: Books(**found[name]) for name in ("books_while_full", "books")})


def can_mount() -> bool:
    """Whether this process may make a file system of its own."""
    return os.geteuid() == 0 and shutil.which("unshare") is not None


def _filled(folder: Path) -> FullDisk:
    bodies = make_bodies(Form.ROW)
    service = Service(folder)
    service.root.mkdir()
    _mount(service.root, f"size={_ROOM_MIB}m")
    service.start()
    try:
        with Callers(service, bodies, _CONNECTIONS) as callers:
            callers.wait_for(_ANSWERS)
            before = (service.supervisor, service.workers(), service.writer())
            used = shutil.disk_usage(service.root).used
            _mount(service.root, f"remount,size={used // 1024 + _LEFT_KIB}k")
            refused = _wait_for_refusals(service, bodies)
            while_full = close_books(service.root, told(bodies, list(callers.load.acknowledged)))
            _mount(service.root, f"remount,size={_ROOM_MIB}m")
            callers.wait_for(callers.acknowledged() + _ANSWERS)
            after = (service.supervisor, service.workers(), service.writer())
        books = close_books(service.root, told(bodies, callers.load.acknowledged))
        figures = callers.figures
        return FullDisk(refused, figures.statuses, while_full, books, before == after, figures.latency.max_ms / 1000)
    finally:
        service.stop()


def _wait_for_refusals(service: Service, bodies: Bodies) -> int:
    refused = number = 0
    deadline = time.monotonic() + _PATIENCE_S
    while refused < _REFUSALS:
        number += 1
        status, headers, _ = service.ingest(bodies.body(_PROBES_FROM + number))
        if status == _UNAVAILABLE and int(headers["retry-after"]) > 0:
            refused += 1
        elif status != _CREATED:
            raise BenchError(f"a full disk was answered with {status}")
        if time.monotonic() > deadline:
            raise BenchError(f"{refused} refusals after {_PATIENCE_S:.0f} s")
        time.sleep(_PAUSE_S)
    return refused


def _mount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], check=True)


def main(folder: Path) -> None:
    """Print what came of it as JSON."""
    sys.stdout.write(json.dumps(dataclasses.asdict(_filled(folder))) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
