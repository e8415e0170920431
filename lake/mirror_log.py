"""The log of a table's copy: what is in it, and the entries that are not the lake's own bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from deltalake import DeltaTable

from lake.active_files import active_files
from lake.errors import DivergenceError, StorageError
from lake.lake import Lake
from lake.log import ENGINE, LOG, Action, Entry, add, entry_path, metadata_of, read_entry, remove
from lake.log_listing import list_log
from lake.object_store import ObjectStore
from lake.parquet_stats import file_statistics
from lake.table import Table

_HELD_BACK = "HELD BACK"
_ENTRY = re.compile(rf"{LOG}/(\d{{20}})\.json")
_CHECKPOINT = re.compile(rf"{LOG}/(\d{{20}})\.checkpoint\..*parquet")


class MirrorLog:
    """What a copy's log holds.

    Args:
        store: Where it lies.
        place: The table's path there.
        names: Objects under it.
    """

    def __init__(self, store: ObjectStore, place: str, names: Mapping[str, int]) -> None:
        self._store, self._place = store, place
        self._entries = {int(found[1]) for name in names if (found := _ENTRY.fullmatch(name))}
        checkpoints = {int(found[1]) for name in names if (found := _CHECKPOINT.fullmatch(name))}
        self.checkpoint = max(checkpoints, default=-1)
        # A copy begins with its checkpoint; all that is written before that is data files.
        self.newest = max((*self._entries, *checkpoints)) if checkpoints or self._entries else None

    @cached_property
    def _delta(self) -> DeltaTable:
        delta = self._store.delta(self._place)
        if delta is None:
            raise DivergenceError(
                "there are log entries, but no table can be read from them",
                where=f"{self._store.url}/{self._place}",
                mend="mirror to another place, or delete what lies there",
            )
        return delta

    def files(self) -> dict[str, int]:
        """Files of the newest version: bytes by name."""
        return {f.name: f.size for f in active_files(self._delta)}

    def protocol(self) -> tuple[int, int]:
        """What readers and writers of the copy have to know."""
        found = self._delta.protocol()
        return found.min_reader_version, found.min_writer_version

    def require_same(self, table: Table, table_path: Path, identifier: str) -> None:
        """Refuse to go on top of a log that is not the beginning of ours.

        Raises:
            DivergenceError: It belongs to another table, or has versions that ours never had.
        """
        assert self.newest is not None, "an empty place is nobody's"
        problem = None
        if str(self._delta.metadata().id) != identifier:
            problem = f"another table lies there, {self._delta.metadata().id} and not {identifier}"
        elif self.newest > list_log(table_path).newest:
            problem = f"it is at version {self.newest}, which ours has not reached"
        else:
            version, said = self._newest_words()
            ours = read_entry(table_path, version) if said is not None else None
            if ours is not None and ours.info != said:
                problem = f"its version {version} is not ours"
        if problem is not None:
            raise DivergenceError(
                f"the copy is not one of this lake: {problem}",
                where=f"{self._store.url}/{self._place}",
                mend=f"mirror to another place, or delete the copy of {table.full_name} there and mirror again",
            )

    def _newest_words(self) -> tuple[int, dict[str, Any] | None]:
        """The newest version that was published, and what its commit says about itself."""
        for version in sorted(self._entries, reverse=True):
            content = self._store.read(f"{self._place}/{entry_path(Path(), version)}")
            actions: tuple[Action, ...] = tuple(orjson.loads(line) for line in (content or b"").splitlines() if line)
            info = Entry(version, actions).info
            if info.get("operation") != _HELD_BACK:
                return version, info
        return self.checkpoint, None


def content_of(actions: Sequence[Action]) -> bytes:
    """The bytes of an entry."""
    return b"\n".join(orjson.dumps(action) for action in actions) + b"\n"


def held_back(entry: Entry | None) -> bytes:
    """An entry that changes nothing, under the number of a version that does not leave the lake.

    Says nothing of what the version held: what others write about their commits may hold values.
    """
    # The same bytes from every mirror, as long as the lake has the entry.
    moment = entry.info.get("timestamp", 0) if entry is not None else 0
    info: Action = {"timestamp": moment, "operation": _HELD_BACK, "operationParameters": {}, "engineInfo": ENGINE}
    return content_of([{"commitInfo": info}])


def bridge(
    lake: Lake, table: Table, entry: Entry, there: Mapping[str, int], protocol: tuple[int, int]
) -> tuple[Action, ...]:
    """The actions that bring a copy from the files it has to a published version, in that version's own words.

    Args:
        lake: The lake.
        table: The table.
        entry: Of the published version.
        there: Files of the copy's newest version: bytes by name.
        protocol: Versions for readers and writers in the copy.

    Raises:
        FileNotFoundError: A file is gone.
        StorageError: The version can no longer be read.
    """
    path, delta = lake.path(table), lake.open(table, entry.version)
    if delta is None:
        raise StorageError(f"version {entry.version} can no longer be read", where=str(path))
    wanted = {f.name for f in active_files(delta)}
    now = delta.protocol()
    actions: list[Action] = [{"commitInfo": entry.info}]
    if (now.min_reader_version, now.min_writer_version) != protocol:
        versions = {"minReaderVersion": now.min_reader_version, "minWriterVersion": now.min_writer_version}
        features = {"readerFeatures": now.reader_features, "writerFeatures": now.writer_features}
        actions.append({"protocol": versions | {k: v for k, v in features.items() if v}})
    actions.append(metadata_of(delta))
    actions += [remove(name, size) for name, size in sorted(there.items()) if name not in wanted]
    actions += [add(n, (path / n).stat(), file_statistics(path / n)) for n in sorted(wanted - there.keys())]
    return tuple(actions)
