"""Commits of writers that do not sync, kept before a commit of ours goes on top of them.

Otherwise a power cut could tear an entry below rows that were acknowledged, and nothing above it could be read.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from lake.durable import sync_directory, sync_file
from lake.log import ENGINE, LOG, entry_path, read_entry

# A kernel writes back by itself what has lain unsynced for half a minute (Linux, vm.dirty_expire_centisecs).
_MOST_ENTRIES = 2_000


def keep_foreign(table_path: Path, version: int) -> int:
    """Sync the entries that others wrote, from `version` down to the newest of ours, and the files they add.

    Returns:
        Entries synced; 0 in the usual case, for the price of reading one.

    Raises:
        StorageError: An entry is torn.
        OSError: The disk did not take them.
    """
    directories: set[Path] = set()
    synced = 0
    for number in range(version, max(-1, version - _MOST_ENTRIES), -1):
        entry = read_entry(table_path, number)
        if entry is None or entry.info.get("engineInfo") == ENGINE:
            break
        for file in (table_path / unquote(action["path"]) for action in entry.added if "://" not in action["path"]):
            # What a later version took out may have been deleted.
            if file.exists():
                sync_file(file)
                directories.add(file.parent)
        sync_file(entry_path(table_path, number))
        synced += 1
    for directory in (*sorted(directories), table_path / LOG) if synced else ():
        sync_directory(directory)
    return synced
