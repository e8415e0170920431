"""Committing on top of what is newest: tried until the next version is free, and judged anew for each that others made.

No lock is needed: an entry is made only where there is none (log.write_entry), so who loses reads on and tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from lake.errors import LakeBusyError
from lake.foreign import keep_foreign
from lake.log import Action, Entry, read_entry, write_entry

# Beside a service that commits fifty times a second a commit finds the next version free within a few tries.
TRIES = 100


def commit_on_top(
    table_path: Path,
    version: int,
    actions_on: Callable[[int], Iterable[Action] | None],
    goes_after: Callable[[Entry], bool] = lambda _: True,
) -> int | None:
    """Make actions the version above the newest.

    Args:
        table_path: The table's directory.
        version: The newest version that was read; -1 for a table never written.
        actions_on: What the commit holds on top of a version; None when it cannot be made there.
        goes_after: Asked of each entry that others made above `version`, oldest first; False when the commit cannot
            come after it.

    Returns:
        The new version, which is on the disk; None when one of the two refused.

    Raises:
        LakeBusyError: Others commit faster than this can.
        StorageError: An entry is torn.
        OSError: See durable.create_file.
    """
    for _ in range(TRIES):
        while entry := read_entry(table_path, version + 1):
            if not goes_after(entry):
                return None
            version += 1
        actions = actions_on(version)
        if actions is None:
            return None
        keep_foreign(table_path, version)
        if write_entry(table_path, version + 1, actions):
            return version + 1
    raise LakeBusyError(
        "other writers commit faster than this one", where=str(table_path), mend="run the command again"
    )
