"""Going back to what we wrote: strangers' rows leave a table, ours stay, those that wait for the gate among them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable

from lake.active_files import active_files
from lake.errors import StorageError
from lake.gated import PENDING, GateRecord, is_neutral, standing
from lake.lake import Lake
from lake.log import Action, Entry, add, metadata_of, read_entry, remove
from lake.parquet_stats import file_statistics
from lake.table import Table


@dataclass(frozen=True, slots=True)
class Restoration:
    """What a commit has to hold so that only our rows are in the table.

    Args:
        base: The version it goes back to, before it replays what we wrote since.
        record: How the table stands to its gate then.
        actions: Files taken out and put back, and the columns as they were when somebody changed them.
    """

    base: int
    record: GateRecord
    actions: list[Action] = field(default_factory=list)


def plan_restoration(lake: Lake, table: Table, delta: DeltaTable) -> Restoration:
    """What takes strangers' rows out of a table's newest version.

    The entries since the last version that held only our rows are replayed: what we added stays, what strangers
    added goes, what they took out is put back. A stranger's compaction of our files alone counts as ours; one that
    mixed our rows with others is undone.

    Args:
        lake: The lake.
        table: Declaration.
        delta: The table at its newest version, which holds rows past the gate.

    Raises:
        StorageError: The log no longer holds an entry this needs, a file to put back is gone, or nothing of ours
            was ever in the table.
    """
    path, newest = lake.path(table), int(delta.version())
    entries = _entries_to_replay(table, path, newest)
    base = entries[0].version
    before = lake.open(table, base)
    if before is None:
        raise StorageError(f"version {base} cannot be read", where=str(path))
    wanted = {f.name for f in active_files(before)}
    for entry in entries[1:]:
        wanted = _replayed(entry, wanted)
    present = {f.name: f.size for f in active_files(delta)}
    actions = [remove(name, size) for name, size in sorted(present.items()) if name not in wanted]
    actions += [_put_back(path, name) for name in sorted(wanted - present.keys())]
    if any("metaData" in action for entry in entries[1:] for action in entry.actions):
        actions.insert(0, metadata_of(before))
    return Restoration(base, _record(path, entries), actions)


def _entries_to_replay(table: Table, path: Path, newest: int) -> list[Entry]:
    """Entries from the newest version that held only our rows on."""
    entries: list[Entry] = []
    for version in range(newest, -1, -1):
        entry = read_entry(path, version)
        if entry is None:
            raise StorageError(
                f"the log no longer holds version {version}, which tells our rows from others",
                where=table.full_name,
                mend="restore _delta_log from a backup",
            )
        entries.insert(0, entry)
        record = GateRecord.from_metadata(entry.info)
        if record is not None and (record.is_open or record.clean):
            return entries
    raise StorageError("no version was ever let in by a gate", where=table.full_name)


def _replayed(entry: Entry, wanted: set[str]) -> set[str]:
    added = {unquote(a["path"]) for a in entry.added}
    removed = {unquote(a["path"]) for a in entry.removed}
    ours = GateRecord.from_metadata(entry.info) is not None
    if ours or (is_neutral(entry) and removed <= wanted):
        return (wanted - removed) | added
    return wanted


def _put_back(path: Path, name: str) -> Action:
    file = path / name
    if not file.exists():
        raise StorageError(
            "somebody took this file out of the table and it has been deleted since",
            where=str(file),
            mend="restore it from a backup",
        )
    return add(name, file.stat(), file_statistics(file))


def _record(path: Path, entries: list[Entry]) -> GateRecord:
    found = standing(path, entries[0].version)
    ours = [r for entry in entries[1:] if (r := GateRecord.from_metadata(entry.info)) is not None]
    if found.pending or ours:
        return GateRecord("restore", PENDING, last_open=found.last_open)
    record = GateRecord.from_metadata(entries[0].info)
    assert record is not None, "rows that do not wait were let in"
    return replace(record, admits=None)
