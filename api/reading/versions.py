"""Which versions of a table the service reads: those a gate let in, the last one or one that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from api.problems import not_found
from lake.errors import VersionGoneError
from lake.gated import NEUTRAL_OPERATIONS, GatedVersion, commits, last_gated
from lake.lake import Lake
from lake.table import Table

NEAR_VERSIONS = 5


@dataclass(frozen=True, slots=True)
class ReadableVersion:
    """A version somebody may read.

    Args:
        table: What it is a version of.
        version: Its number.
        at: When the gate let it in, UTC.
        files: Its Parquet files, sorted by name.
    """

    table: Table
    version: int
    at: datetime
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class TableVersions:
    """Finds readable versions.

    Args:
        lake: Where the tables lie.
    """

    lake: Lake

    def find(self, table: Table, version: int | None) -> ReadableVersion:
        """The version asked for, or the last one a gate let in.

        Raises:
            Problem: 404 when the table was never published, has no such version a gate let in, or its files are gone.
            LakehouseError: The table cannot be read.
        """
        gated = last_gated(self.lake, table)
        if gated is None:
            raise not_found(f"{table.full_name} was never published.")
        if version is None or version == gated.version:
            return _of(gated)
        return self._earlier(table, version)

    def _earlier(self, table: Table, version: int) -> ReadableVersion:
        readable = dict(_readable(self.lake, table))
        at = readable.get(version)
        if at is None:
            near = sorted(sorted(readable, key=lambda known: abs(known - version))[:NEAR_VERSIONS])
            raise not_found(f"No gate let version {version} of {table.full_name} in.", {"near_versions": near})
        past = not_found(f"Version {version} of {table.full_name} is past its retention.")
        try:
            delta = self.lake.open(table, version)
        except VersionGoneError:
            raise past from None
        assert delta is not None, "a table with history exists"
        found = ReadableVersion(table, version, at, tuple(sorted(Path(uri) for uri in delta.file_uris())))
        if not all(file.exists() for file in found.files):
            raise past
        return found


def _of(gated: GatedVersion) -> ReadableVersion:
    return ReadableVersion(gated.table, gated.version, gated.at, gated.files)


def _readable(lake: Lake, table: Table) -> Iterator[tuple[int, datetime]]:
    """Every version that may be read, newest first, with the moment its gate opened."""
    # Commits that change no rows are read through, as `last_gated` does.
    unchanged: list[int] = []
    for commit in commits(lake, table):
        record = commit.record
        if record is not None and record.is_open:
            version = record.readable_at(commit.version)
            if version == commit.version:
                yield from ((later, commit.at) for later in unchanged)
            yield version, commit.at
        elif commit.operation in NEUTRAL_OPERATIONS:
            unchanged.append(commit.version)
            continue
        unchanged = []
