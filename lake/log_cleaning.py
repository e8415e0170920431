"""Log entries that no reader needs any more are deleted, so that a log of many small commits stays short.

What goes is the history of old versions: `lakehouse history` no longer lists them and nobody can read the table as
of them. The newest version, the last gated one and every version between them and after stay readable.
"""

from __future__ import annotations

from dataclasses import dataclass

from lake.durable import sync_directory, sync_file
from lake.gated import record_at, standing
from lake.lake import Lake
from lake.log import LOG, entry_path
from lake.log_listing import LogListing, list_log
from lake.table import Table
from lake.torn_checkpoints import is_whole

_NEWEST_CHECKPOINTS = 2
# So a log has at most a quarter more entries than it shall keep, and a handful of checkpoints.
_CHECKPOINTS_BETWEEN = 4


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What went from a log: entries, and checkpoints."""

    entries: int
    checkpoints: int


def clean_log(lake: Lake, table: Table, commits_kept: int) -> Cleaned:
    """Delete entries below the checkpoint that the oldest kept version is read from.

    Kept are the newest `commits_kept` versions, the one readers read, the one the gate opened in, and of
    checkpoints the one below all these, the newest two, and a few between for later rounds. Nothing is
    deleted while somebody's rows lie past the gate, as `restore` may need every entry. Deletes oldest first: killed,
    it leaves a log without gaps.

    Args:
        lake: The lake.
        table: Whose log.
        commits_kept: Versions whose entries stay.

    Raises:
        StorageError: The log is torn.
        OSError: A file cannot be deleted.
    """
    path = lake.path(table)
    listing = list_log(path)
    base = _base(lake, table, listing, commits_kept)
    if base is None:
        return Cleaned(0, 0)
    # The checkpoint may be another writer's, which synced nothing.
    for file in (*listing.checkpoints[base], *listing.checkpoints[max(listing.checkpoints)]):
        sync_file(file)
    sync_directory(path / LOG)
    old = sorted(v for v in listing.entries if v < base)
    for version in old:
        entry_path(path, version).unlink(missing_ok=True)
    kept = {base, *_useful(sorted(listing.checkpoints), listing.newest - commits_kept, commits_kept)}
    superseded = [v for v in sorted({*listing.checkpoints, *listing.incomplete}) if v not in kept and v < max(kept)]
    for version in superseded:
        for file in (*listing.checkpoints.get(version, ()), *listing.incomplete.get(version, ())):
            file.unlink(missing_ok=True)
    return Cleaned(len(old), len(superseded))


def _useful(checkpoints: list[int], oldest_kept: int, commits_kept: int) -> set[int]:
    """The newest two, and those from which later rounds go on: one below the oldest kept version, some above it."""
    useful = set(checkpoints[-_NEWEST_CHECKPOINTS:])
    last = max((c for c in checkpoints if c <= oldest_kept), default=-commits_kept)
    useful |= {last} & set(checkpoints)
    for checkpoint in checkpoints:
        if checkpoint - last >= max(1, commits_kept // _CHECKPOINTS_BETWEEN):
            useful.add(checkpoint)
            last = checkpoint
    return useful


def _base(lake: Lake, table: Table, listing: LogListing, commits_kept: int) -> int | None:
    """The checkpoint everything that is kept can be read from; None when nothing can go."""
    path, newest = lake.path(table), listing.newest
    oldest_kept = newest - commits_kept
    if not listing.checkpoints or oldest_kept <= 0:
        return None
    found = standing(path, newest)
    if not found.clean:
        return None
    if found.last_open is not None:
        record = record_at(path, found.last_open)
        if record is None:
            return None
        oldest_kept = min(oldest_kept, record.readable_at(found.last_open))
    base = max((c for c in listing.checkpoints if c <= oldest_kept), default=None)
    needed = {base, max(listing.checkpoints)}
    if base is None or not all(is_whole(file) for c in needed if c is not None for file in listing.checkpoints[c]):
        return None
    return base
