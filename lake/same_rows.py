"""Commits that change no rows: they carry on how the table stands to its gate, beside writers that go on appending."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from lake.committing import commit_on_top
from lake.gated import PENDING, GateRecord, record_at, standing
from lake.log import Action, Entry, commit_info

# Stands for the run where rows wait and no run has looked at them.
_UPKEEP = "upkeep"


def carried(table_path: Path, version: int) -> GateRecord | None:
    """What a commit on top of `version` says when it changes no rows.

    Returns:
        The gate's record where all rows were let in, a pending one where some wait; None where somebody wrote past
        the gate, or no gate ever opened and nothing waits.

    Raises:
        StorageError: The log is torn.
    """
    found = standing(table_path, version)
    if not found.clean or (found.last_open is None and not found.pending):
        return None
    if found.pending:
        return GateRecord(_UPKEEP, PENDING, last_open=found.last_open)
    assert found.last_open is not None, "rows that do not wait were let in"
    record = record_at(table_path, found.last_open)
    return replace(record, admits=None) if record else None


def commit_same_rows(
    table_path: Path, version: int, operation: str, parameters: Mapping[str, str], actions: Iterable[Action]
) -> int | None:
    """Commit files exchanged for others with the same rows on top of the newest version.

    Args:
        table_path: The table's directory.
        version: The version that was read; what others committed above it is looked at first.
        operation: By Delta's name.
        parameters: Of the operation.
        actions: Files removed and added, none of them changing data.

    Returns:
        The new version; None when a file to be removed is gone already, the table's columns have changed, or
        somebody wrote past the gate.

    Raises:
        StorageError: The log is torn.
        LakeBusyError: Others commit faster than this can.
        OSError: See durable.create_file.
    """
    exchanged = list(actions)
    taken = {unquote(a["remove"]["path"]) for a in exchanged if "remove" in a}

    def actions_on(newest: int) -> list[Action] | None:
        record = carried(table_path, newest)
        return [commit_info(operation, parameters, record.to_metadata()), *exchanged] if record else None

    return commit_on_top(table_path, version, actions_on, lambda entry: not _conflicts(entry, taken))


def _conflicts(entry: Entry, taken: set[str]) -> bool:
    return entry.changes_columns or any(unquote(action["path"]) in taken for action in entry.removed)
