"""Writing the company's files: blocks of people are drawn by several threads and written in their order."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from lake.errors import LakeBusyError, StorageError
from lake.settings import GenerateSettings
from lake.tables.bronze import COMPANY
from tasks.generation import truth
from tasks.generation.block import History, Part
from tasks.generation.dirt import Tally
from tasks.generation.source_files import SourceFiles

# People done and people in all.
Progress = Callable[[int, int], None]
# Names that begin with a dot are passed over by landing.
_LOCK = ".generate.lock"

logger = logging.getLogger("lakehouse")


@dataclass(frozen=True, slots=True)
class GenerationReport:
    """What the files hold, in rows by table name, dirt included; `written` is False when they were there already."""

    rows: dict[str, int]
    written: bool


@dataclass(slots=True)
class _Window:
    """How many blocks may be in memory: as many as fit into `rows`, at least one."""

    rows: int
    waiting: deque[Future[list[Part]]] = field(default_factory=deque)
    largest_block: int = 1

    @property
    def is_full(self) -> bool:
        return (len(self.waiting) + 1) * self.largest_block > self.rows and bool(self.waiting)


def generate(
    settings: GenerateSettings, inbox: Path, *, file_format: str = "parquet", progress: Progress | None = None
) -> GenerationReport:
    """Write the company's files to ``<inbox>/<table>/``, unless the same company lies there already.

    Args:
        settings: What to draw. `chunk_rows` bounds the rows in memory and `threads` the time; neither changes a byte.
        inbox: Directory with a folder per table; created when absent.
        file_format: One of `FORMATS`.
        progress: Told after each block of people.

    Raises:
        BadInputError: Another company's files lie there.
        LakeBusyError: Another process is generating there.
        StorageError: The directory cannot be written, or the disk is full; no file is left half-written.
    """
    try:
        inbox.mkdir(parents=True, exist_ok=True)
        with FileLock(inbox / _LOCK, timeout=0):
            known = truth.read(inbox)
            if known is not None:
                truth.require_same_company(known, settings, file_format, inbox)
                if truth.is_complete(known, inbox):
                    return GenerationReport(known.rows, written=False)
            return _write(settings, inbox, file_format, progress)
    except Timeout:
        raise LakeBusyError(
            "another process is generating into this directory", where=str(inbox), mend="wait for it and run again"
        ) from None
    except OSError as error:
        raise StorageError(
            f"cannot write generated files: {error.strerror or error}",
            where=str(inbox),
            mend="free space or give this user the right to write there, and run again",
        ) from error


def _write(settings: GenerateSettings, inbox: Path, file_format: str, progress: Progress | None) -> GenerationReport:
    history = History(settings)
    tallies = {table.name: Tally() for table in COMPANY}
    with SourceFiles(inbox, file_format) as files:
        _add(history.marketing(), files, tallies)
        for done, parts in enumerate(_blocks(history, settings), 1):
            _add(parts, files, tallies)
            if progress is not None:
                progress(history.people * done // history.blocks, history.people)
        sizes = files.finish()
    truth.write(inbox, settings, file_format, history.people, sizes, tallies)
    return GenerationReport({name: tally.rows_total for name, tally in tallies.items()}, written=True)


def _blocks(history: History, settings: GenerateSettings) -> Iterator[list[Part]]:
    """The parts of every block, in the order of blocks."""
    window = _Window(settings.chunk_rows)
    with ThreadPoolExecutor(settings.threads, thread_name_prefix="generate") as pool:
        try:
            for block in range(history.blocks):
                while window.is_full:
                    yield _next(window)
                window.waiting.append(pool.submit(history.block, block))
                # The first block tells how large they are.
                if block == 0:
                    yield _next(window)
            while window.waiting:
                yield _next(window)
        finally:
            for future in window.waiting:
                future.cancel()


def _next(window: _Window) -> list[Part]:
    parts = window.waiting.popleft().result()
    rows = sum(part.in_time.num_rows + part.late.num_rows for part in parts)
    window.largest_block = max(window.largest_block, rows)
    return parts


def _add(parts: list[Part], files: SourceFiles, tallies: dict[str, Tally]) -> None:
    for part in parts:
        files.add(part.table, part.in_time, late=False)
        files.add(part.table, part.late, late=True)
        tallies[part.table.name].add(part.tally)
