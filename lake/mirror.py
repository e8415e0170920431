"""A copy of a table's published versions in another place, readable there at any moment.

What becomes readable there becomes so by one put of one object: first every data file, then the log entry that names
them, under a name nobody holds yet. Versions that no gate let in never leave: the copy's log has an empty entry under
their number, and the next published one says what differs.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from lake.active_files import active_files
from lake.checkpoints import written_beside
from lake.errors import LakeBusyError, VersionGoneError
from lake.foreign import keep_foreign
from lake.gated import GatedVersion, GateRecord, last_gated
from lake.lake import Lake, readable
from lake.log import LOG, Entry, entry_path, read_entry
from lake.log_listing import LAST_CHECKPOINT
from lake.mirror_log import MirrorLog, bridge, content_of, held_back
from lake.object_store import ObjectStore
from lake.table import Table
from lake.vacuum import HOURS_A_DAY

# Files on their way at once.
_FILES_AT_ONCE = 4
# Entries after which readers of the copy get a checkpoint to start from.
_CHECKPOINT_EVERY = 100
# How often a mirror looks anew because another one, or a vacuum of the lake, came in between.
_MOST_LOOKS = 10


@dataclass(slots=True)
class Mirrored:
    """What was done for one table.

    Args:
        table: Its full name.
        version: The version readers of the copy now read.
        entries: Log entries written.
        files: Data files copied.
        size_bytes: Of these.
        deleted: Files deleted that no kept version needs.
    """

    table: str
    version: int = -1
    entries: int = 0
    files: int = 0
    size_bytes: int = 0
    deleted: int = 0


class _OvertakenError(Exception):
    """Another mirror wrote this version first, with other words: look again."""


def mirror(lake: Lake, table: Table, store: ObjectStore) -> Mirrored | None:
    """Bring the copy of a table to its last gated version.

    Killed anywhere, the next call goes on; several at once do not disturb each other.

    Args:
        lake: The lake; nothing in it is changed.
        table: What to copy.
        store: Where to; the table lies there at ``<layer>/<name>``.

    Returns:
        None for a table that was never published.

    Raises:
        DivergenceError: The place holds another table, or versions that this one never had. Nothing is overwritten.
        LakeBusyError: Other mirrors were always faster.
        LakehouseError: The lake cannot be read (lake.lake) or the store does not do as asked (lake.object_store).
    """
    done = Mirrored(table.full_name)
    for _ in range(_MOST_LOOKS):
        gated = last_gated(lake, table)
        if gated is None:
            return None
        try:
            done.version = _Copy(lake, gated, store, done).bring_up()
        except (_OvertakenError, FileNotFoundError):
            continue
        return done
    raise LakeBusyError(
        "other mirrors, or a vacuum of the lake, came in between each time",
        where=table.full_name,
        mend="run ./lakehouse mirror again",
    )


@dataclass
class _Copy:
    """One look at a table and its copy, and the way from the one to the other."""

    lake: Lake
    gated: GatedVersion
    store: ObjectStore
    done: Mirrored
    held: dict[str, int] = field(init=False)
    log: MirrorLog = field(init=False)

    def __post_init__(self) -> None:
        self.path = self.lake.path(self.gated.table)
        self.place = place_of(self.gated.table)
        # A power cut could take back what others wrote without syncing, and the copy would be ahead.
        with readable(self.path):
            keep_foreign(self.path, self.gated.version)
        self.held = self.store.sizes(self.place)
        self.log = MirrorLog(self.store, self.place, self.held)

    def bring_up(self) -> int:
        wanted = {f.name: f.size for f in active_files(self.gated.delta)}
        if self.log.newest is None:
            self._copy(wanted)
            self._write_checkpoint()
            self._complete_newest(self.gated.version)
            return self.gated.version
        self.log.require_same(self.gated.table, self.path, str(self.gated.delta.metadata().id))
        self._complete_newest(self.log.newest)
        if self.log.newest < self.gated.version:
            self._append(self.log.newest)
        # What somebody deleted from the copy is put back.
        self._copy(wanted)
        if self.log.newest > self.gated.version:
            return self.log.newest
        # Killed before the hint was written, readers list the whole log.
        if self.gated.version - self.log.checkpoint >= _CHECKPOINT_EVERY or f"{LOG}/{LAST_CHECKPOINT}" not in self.held:
            self._write_checkpoint()
        return self.gated.version

    def _append(self, newest: int) -> None:
        there = self.log.files()
        same = self._had(newest) == there
        for version in range(newest + 1, self.gated.version + 1):
            entry = read_entry(self.path, version)
            if entry is None or not self._leaves(entry, None if same else there):
                self._create(version, held_back(entry))
                same = False
                continue
            if not same:
                actions = bridge(self.lake, self.gated.table, entry, there, self.log.protocol())
                entry, content = Entry(version, actions), content_of(actions)
            else:
                content = entry_path(self.path, version).read_bytes()
            added = {unquote(a["path"]): int(a["size"]) for a in entry.added}
            self._copy(added)
            self._create(version, content)
            there = {k: v for k, v in there.items() if k not in {unquote(a["path"]) for a in entry.removed}} | added
            same = True

    def _had(self, version: int) -> dict[str, int] | None:
        """Files of a version of ours; None when the log does not reach back to it any more."""
        try:
            delta = self.lake.open(self.gated.table, version)
        except VersionGoneError:
            return None
        return {f.name: f.size for f in active_files(delta)} if delta is not None else None

    def _leaves(self, entry: Entry, there: dict[str, int] | None) -> bool:
        """Whether readers read exactly this version, and all that it brings is still there to be copied.

        Args:
            entry: Of the version.
            there: Files the copy has by now; None when it stands at the version before.
        """
        if entry.version == self.gated.version:
            return True
        record = GateRecord.from_metadata(entry.info)
        if record is None or not record.is_open or record.readable_at(entry.version) != entry.version:
            return False
        if there is None:
            brought = {unquote(a["path"]) for a in entry.added} - self.held.keys()
        else:
            brought = (self._had(entry.version) or {}).keys() - there.keys()
        return all((self.path / name).exists() for name in brought)

    def _copy(self, files: dict[str, int]) -> None:
        """Put the files there that are not, or have another size there."""
        missing = [name for name, size in sorted(files.items()) if self.held.get(name) != size]
        with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
            list(pool.map(self._put, missing))
        for name in missing:
            self.held[name] = files[name]
            self.done.files += 1
            self.done.size_bytes += files[name]

    def _put(self, name: str) -> None:
        self.store.put(f"{self.place}/{name}", self.path / name)

    def _create(self, version: int, content: bytes) -> None:
        if not self.store.create(f"{self.place}/{entry_path(Path(), version)}", content):
            raise _OvertakenError
        self.done.entries += 1

    def _write_checkpoint(self) -> None:
        """The state of the gated version as one file. A new copy begins with it: older files may be gone by now."""
        with written_beside(self.path, self.gated.version) as made:
            for file in made:
                self.store.put(f"{self.place}/{LOG}/{file.name}", file)

    def _complete_newest(self, version: int) -> None:
        """The entry that belongs to the checkpoint a copy begins with: Spark asks for it, other readers do not."""
        if f"{entry_path(Path(), version)}" not in self.held and read_entry(self.path, version) is not None:
            self._create(version, entry_path(self.path, version).read_bytes())


def place_of(table: Table) -> str:
    """Where a table's copy lies under the mirror's URL."""
    return f"{table.layer}/{table.name}"


def vacuum_copy(table: Table, store: ObjectStore) -> int:
    """Delete files of a copy that left the table longer than its declared retention ago, or never became part of it.

    Returns:
        Files deleted. No commit tells of it: the copy's log stays the lake's.

    Raises:
        LakehouseError: See lake.object_store.
    """
    copy = store.delta(place_of(table))
    if copy is None:
        return 0
    hours = table.retention_days * HOURS_A_DAY
    with store.explained(place_of(table)):
        doomed = copy.vacuum(retention_hours=hours, dry_run=True, full=True, enforce_retention_duration=False)
    store.delete(f"{place_of(table)}/{name}" for name in sorted(doomed))
    return len(doomed)
