"""One round of upkeep beside running ingest, in a process of its own: ``python -m api.keeper``.

The writer process starts it now and then, as what merges files and reads the whole log takes memory and time that
a process which answers people must not spend. It ends after one round; killed at any step it leaves the tables whole.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass

import orjson

from lake.checkpoints import checkpoint
from lake.compaction import Compacted, compact
from lake.configuration import load_settings
from lake.errors import LakeBusyError, LakehouseError
from lake.lake import Lake, readable
from lake.log_cleaning import Cleaned, clean_log
from lake.log_listing import list_log
from lake.settings import IngestSettings
from lake.table import Table
from lake.tables import BRONZE_TRANSACTIONS, quarantine_of

# Ingest goes first wherever both want the processor (setpriority(2): 0 is usual, 19 yields most).
NICENESS = 10
TABLES = (BRONZE_TRANSACTIONS, quarantine_of(BRONZE_TRANSACTIONS))


@dataclass(frozen=True, slots=True)
class Kept:
    """What a round did to one table.

    Args:
        table: Full name.
        version: Newest version when the round began; -1 when the table was never written.
        checkpoint: Whether one was written.
        compacted: Files merged; None when too few were small.
        cleaned: Log entries and checkpoints deleted.
    """

    table: str
    version: int
    checkpoint: bool
    compacted: Compacted | None
    cleaned: Cleaned


def keep(lake: Lake, table: Table, settings: IngestSettings) -> Kept:
    """One round for one table: checkpoint, compaction, cleaning of the log, each when it is due.

    Raises:
        StorageError: The table cannot be read or written.
    """
    path = lake.path(table)
    with readable(path):
        listing = list_log(path)
        due = listing.since_checkpoint() >= settings.checkpoint_commits
        if due:
            checkpoint(lake, table)
        compacted = _compacted(lake, table, settings)
        return Kept(table.full_name, listing.newest, due, compacted, clean_log(lake, table, settings.log_commits_kept))


def _compacted(lake: Lake, table: Table, settings: IngestSettings) -> Compacted | None:
    try:
        return compact(lake, table, min_files=settings.compact_files)
    except LakeBusyError:
        # Ingest commits faster than this side finds a free version: the next round tries again.
        return None


def main() -> int:
    """One round for the tables that ingest writes; prints a line of JSON.

    Returns:
        The exit code (docs/errors.md).
    """
    os.nice(NICENESS)
    try:
        settings = load_settings()
        lake = Lake(settings.lake.root)
        lake.check_format()
        done = [asdict(keep(lake, table, settings.ingest)) for table in TABLES]
    except LakehouseError as error:
        sys.stderr.write(f"error in {error.where}: {error.what}\n")
        return error.exit_code
    sys.stdout.buffer.write(orjson.dumps({"tables": done}) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
