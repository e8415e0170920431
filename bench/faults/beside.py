"""Compaction, vacuum, checkpoints, cleaning of the log, and readers, all beside ingest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import polars as pl

from bench.faults.books import Books, close_books, told
from bench.faults.callers import Callers
from bench.faults.service import Service, serving
from bench.ingest.bodies import Bodies, Form, make_bodies
from lake.errors import LakeBusyError
from lake.lake import Lake
from lake.log import LOG, read_entry
from lake.log_listing import list_log
from lake.tables import BRONZE_TRANSACTIONS
from lake.vacuum import vacuum

# Upkeep all the time: rounds that are due every few commits.
UPKEEP = {
    "LAKEHOUSE_INGEST__COMPACT_FILES": "20",
    "LAKEHOUSE_INGEST__CHECKPOINT_COMMITS": "20",
    "LAKEHOUSE_INGEST__LOG_COMMITS_KEPT": "100",
}
_CONNECTIONS, _ANSWERS = 8, 20
_OK = 200
# How long a reader stays at the version it opened.
_PINNED_READS, _PAUSE_S = 5, 0.05


@dataclass(slots=True)
class Reads:
    """What readers met.

    Args:
        pinned: Reads of files of a version opened before.
        proofs: Transactions asked for over HTTP.
        vacuums: Vacuums that ran.
        failures: What went wrong, in words.
    """

    pinned: int = 0
    proofs: int = 0
    vacuums: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Beside:
    """What came of it.

    Args:
        books: Closed at the end.
        reads: What readers met.
        compactions: Commits that merged files.
        checkpoints: In the log at the end.
        entries_cleaned: Log entries deleted.
        longest_answer_s: Longest time from sending a row first to success, s.
    """

    books: Books
    reads: Reads
    compactions: int
    checkpoints: int
    entries_cleaned: int
    longest_answer_s: float


def ingest_beside_upkeep(folder: Path, *, seconds: float) -> Beside:
    """Ingest for so long while the table is kept and read.

    Raises:
        BenchError: The service failed.
        LakehouseError: The table cannot be read.
    """
    bodies, reads = make_bodies(Form.ROW), Reads()
    with serving(folder, UPKEEP) as service:
        with Callers(service, bodies, _CONNECTIONS) as callers:
            callers.wait_for(_ANSWERS)
            # Compaction commits are looked for while their entries are there.
            compacted: set[int] = set()
            jobs = (
                lambda: _read_pinned(service, reads),
                lambda: _ask_for_proof(service, bodies, callers, reads),
                lambda: _vacuum(service, reads),
                lambda: _note_compactions(service, compacted),
            )
            with _repeating(jobs, reads):
                time.sleep(seconds)
            callers.wait_for(callers.acknowledged() + _ANSWERS)
        books = close_books(service.root, told(bodies, callers.load.acknowledged))
        listing = list_log(Lake(service.root).path(BRONZE_TRANSACTIONS))
    longest = callers.figures.latency.max_ms / 1000
    return Beside(books, reads, len(compacted), len(listing.checkpoints), min(listing.entries), longest)


@contextmanager
def _repeating(jobs: tuple[Callable[[], None], ...], reads: Reads) -> Iterator[None]:
    """Each job over and over in a thread of its own while the block runs."""
    ended = threading.Event()

    def repeat(job: Callable[[], None]) -> None:
        while not ended.wait(_PAUSE_S):
            try:
                job()
            except Exception as error:
                reads.failures.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=repeat, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _read_pinned(service: Service, reads: Reads) -> None:
    """Open the newest version and stay with it: its rows do not change, and its files do not go."""
    delta = Lake(service.root).open(BRONZE_TRANSACTIONS)
    assert delta is not None
    files, counted = delta.file_uris(), set[int]()
    for _ in range(_PINNED_READS):
        counted.add(pl.scan_parquet(files).select("transaction_id").collect().height)
        reads.pinned += 1
        time.sleep(_PAUSE_S)
    if len(counted) > 1:
        reads.failures.append(f"version {delta.version()} had {sorted(counted)} rows")


def _ask_for_proof(service: Service, bodies: Bodies, callers: Callers, reads: Reads) -> None:
    number, version = callers.load.acknowledged[-1]
    identifier = bodies.identifiers(number)[0]
    status, body = service.get(f"/api/v1/transactions/{identifier}")
    reads.proofs += 1
    rows = orjson.loads(body)["bronze"]["rows"] if status == _OK else []
    if [row["origin"]["version"] for row in rows] != [version]:
        reads.failures.append(f"proof of {identifier}, committed as {version}: {status} {body[:200]!r}")


def _vacuum(service: Service, reads: Reads) -> None:
    try:
        vacuum(Lake(service.root), BRONZE_TRANSACTIONS)
        reads.vacuums += 1
    except LakeBusyError:
        pass
    time.sleep(_PAUSE_S * 10)


def _note_compactions(service: Service, compacted: set[int]) -> None:
    path = Lake(service.root).path(BRONZE_TRANSACTIONS)
    newest = max(int(file.stem) for file in (path / LOG).glob("0*.json"))
    for version in range(max(newest - 60, 0), newest + 1):
        entry = read_entry(path, version)
        if entry is not None and entry.info.get("operation") == "OPTIMIZE":
            compacted.add(version)
