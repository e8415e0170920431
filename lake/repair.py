"""Repair: what a power cut tore in a table's log is moved aside, so that the commits that are whole can be read.

Our own commits are synced before anybody is told of them (durable). Other writers sync nothing: after a power cut
their newest entries, data files and checkpoints may be empty or cut. Nothing here is deleted but temporary files;
what is moved aside keeps its bytes in the log directory under a hidden name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from lake.aside import Repaired, move_entry_aside, note
from lake.durable import TEMPORARY_PREFIX
from lake.errors import StorageError
from lake.lake import Lake, readable
from lake.log import LOG, Entry, entry_path, read_entry
from lake.log_listing import LogListing, list_log
from lake.lost_files import mend_lost_files
from lake.table import Table
from lake.torn_checkpoints import mend_checkpoints, move_above_aside

_TEMPORARY = re.compile(re.escape(TEMPORARY_PREFIX) + r"(\d+)-.+", re.DOTALL)
# What delta-rs says that a commit added; a file cut between two lines still parses.
_ADDED_FILES = ("num_added_files", "numFilesAdded")


def repair(lake: Lake, table: Table) -> list[Repaired]:
    """Make a table readable again whose newest writes a power cut tore. Call it before this process writes.

    In this order:

    - newest entries that are empty, cut or no JSON are moved aside, with checkpoints of them;
    - entries whose data files are missing or short: see lost_files;
    - torn checkpoints, and a ``_last_checkpoint`` that leads nowhere, are moved aside;
    - temporary files of dead processes are deleted.

    The table has then exactly the rows of the commits that are whole. A table in order costs a few looks at the
    names of its two directories and the reading of its newest entries and checkpoint.

    Returns:
        What was done; empty when all was well or the table was never written.

    Raises:
        StorageError: What is torn is not the newest, or rows we acknowledged need it; names it.
    """
    path = lake.path(table)
    if not (path / LOG).is_dir():
        return []
    with readable(path):
        done = [*_mend_entries(path), *mend_lost_files(path)]
        done += mend_checkpoints(path, list_log(path))
        return [*done, *_cleared(path), *_cleared(path / LOG)]


def _mend_entries(path: Path) -> Iterator[Repaired]:
    listing = list_log(path)
    version = max(listing.entries, default=-1)
    torn = version
    while torn in listing.entries and _is_torn(path, torn):
        torn -= 1
    _require_unbroken(path, listing, torn if torn < version else listing.newest)
    for number in range(version, torn, -1):
        yield from move_entry_aside(path, number, "torn log entry")
    if torn < version:
        yield from move_above_aside(listing, torn + 1)


def _is_torn(path: Path, version: int) -> bool:
    try:
        entry = read_entry(path, version)
    except StorageError:
        return True
    return entry is not None and _lacks_lines(entry)


def _lacks_lines(entry: Entry) -> bool:
    if not str(entry.info.get("engineInfo", "")).startswith("delta-rs"):
        return False
    metrics = entry.info.get("operationMetrics") or {}
    return any(len(entry.added) < metrics.get(name, 0) for name in _ADDED_FILES)


def _require_unbroken(path: Path, listing: LogListing, newest: int) -> None:
    """Version `newest` has its entries, from the checkpoint below it on."""
    # Names made while the directory was listed may be missing from the list.
    missing = next((v for v in listing.missing(newest) if not entry_path(path, v).exists()), None)
    if missing is not None:
        raise StorageError(
            f"the log lacks version {missing}, and there are versions above it",
            where=str(entry_path(path, missing)),
            mend=f"restore {LOG} from a backup",
        )


def _cleared(directory: Path) -> Iterator[Repaired]:
    """Temporary files of processes that are no more; one of this process's number is left by an earlier life."""
    with os.scandir(directory) as entries:
        left = [(entry.name, found) for entry in entries if (found := _TEMPORARY.fullmatch(entry.name))]
    for name, found in left:
        if int(found[1]) == os.getpid() or not _lives(int(found[1])):
            (directory / name).unlink(missing_ok=True)
            yield note("temporary file of a dead process", directory / name)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
