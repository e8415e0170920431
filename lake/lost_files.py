"""Commits of writers that do not sync, whose data files a power cut took.

The newest such entry and whatever lies above it cannot be read. Three cases:

- nothing of ours lies above: these entries are moved aside. The table goes back to its last version that is whole.
- entries of ours lie above, and the broken one exchanged files for others with the same rows (compaction by
  somebody else): one more commit takes its files out and puts back those it removed. No row is lost.
- anything else, or a file that we had synced: StorageError. Acknowledged rows are at stake, a person has to look.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lake.aside import Repaired, move_entry_aside, note
from lake.errors import StorageError
from lake.gated import METADATA_KEY, is_neutral
from lake.log import ENGINE, Entry, add, entry_path, read_entry, remove
from lake.log_listing import LogListing, list_log
from lake.parquet_stats import file_statistics
from lake.same_rows import commit_same_rows
from lake.torn_checkpoints import move_above_aside

# A kernel holds unsynced bytes for half a minute at most (Linux, vm.dirty_expire_centisecs); a busy service makes
# some thousand commits in that time.
_LOOK_BACK = 2_000
_MAGIC = b"PAR1"
_BACKUP = "restore the file from a backup"


@dataclass(frozen=True, slots=True)
class _Lost:
    """An entry with a file that cannot be read, and what lies above it, newest first."""

    entry: Entry
    file: str
    above: tuple[Entry, ...]


def mend_lost_files(path: Path) -> Iterator[Repaired]:
    """See the module.

    Raises:
        StorageError: Rows that we acknowledged are at stake.
        OSError: A file cannot be renamed.
    """
    while (lost := _newest_lost(path)) is not None:
        what = f"version {lost.entry.version} names {lost.file}, which is missing or cut"
        if _is_ours(lost.entry) and lost.entry.info.get("engineInfo") == ENGINE:
            raise StorageError(f"{what}; it was synced when it was committed", where=str(path), mend=_BACKUP)
        if not any(_is_ours(entry) for entry in lost.above):
            listing = list_log(path)
            _require_older(path, listing, lost, what)
            for entry in (*lost.above, lost.entry):
                yield from move_entry_aside(path, entry.version, what)
            yield from move_above_aside(listing, lost.entry.version)
        elif is_neutral(lost.entry):
            yield _undo(path, lost, what)
        else:
            raise StorageError(f"{what}, and rows that were acknowledged lie above", where=str(path), mend=_BACKUP)


def _require_older(path: Path, listing: LogListing, lost: _Lost, what: str) -> None:
    missing = next(listing.missing(lost.entry.version - 1), None)
    if missing is not None:
        raise StorageError(
            f"{what}, and version {missing}, without which none before it can be read, is no longer in the log",
            where=str(path),
            mend=_BACKUP,
        )


def _newest_lost(path: Path) -> _Lost | None:
    """The newest entry with a file that the table still needs and that cannot be read."""
    removed: set[str] = set()
    above: list[Entry] = []
    newest = list_log(path).newest
    for version in range(newest, max(-1, newest - _LOOK_BACK), -1):
        entry = read_entry(path, version)
        if entry is None:
            return None
        synced = entry.info.get("engineInfo") == ENGINE
        for action in entry.added:
            name = unquote(action["path"])
            if name not in removed and not _can_be_read(path, name, action, synced=synced):
                return _Lost(entry, name, tuple(above))
        removed |= {unquote(action["path"]) for action in entry.removed}
        above.append(entry)
    return None


def _can_be_read(path: Path, name: str, action: dict[str, Any], *, synced: bool) -> bool:
    if "://" in name:
        return True
    file = path / name
    try:
        if file.stat().st_size < action["size"]:
            return False
        if synced:
            return True
        with file.open("rb") as opened:
            opened.seek(-len(_MAGIC), os.SEEK_END)
            return opened.read() == _MAGIC
    except OSError:
        return False


def _is_ours(entry: Entry) -> bool:
    return METADATA_KEY in entry.info


def _undo(path: Path, lost: _Lost, what: str) -> Repaired:
    """Take out the files that a commit of the same rows put in, and put back those it took out."""
    gone = {unquote(a["path"]) for entry in lost.above for a in entry.removed}
    actions = [
        remove(unquote(a["path"]), a["size"], data_change=False)
        for a in lost.entry.added
        if unquote(a["path"]) not in gone
    ]
    if len(actions) != len(lost.entry.added):
        raise StorageError(f"{what}, and some of its files were merged on", where=str(path), mend=_BACKUP)
    for removed in lost.entry.removed:
        name = unquote(removed["path"])
        file = path / name
        if not file.exists():
            raise StorageError(f"{what}, and {name} that it replaced is gone", where=str(path), mend=_BACKUP)
        actions.append(add(name, file.stat(), file_statistics(file), data_change=False))
    newest = lost.above[0].version
    if commit_same_rows(path, newest, "RESTORE", {"version": str(lost.entry.version - 1)}, actions) is None:
        raise StorageError(f"{what}, and somebody wrote past the gate", where=str(path), mend=_BACKUP)
    return note(f"{what}; the files it replaced are back in version {newest + 1}", entry_path(path, lost.entry.version))
