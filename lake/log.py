"""Entries of a Delta table's log, read and written one version at a time, safe against a power cut.

Format: Delta transaction protocol, "Delta Log Entries" and "Actions". delta-rs writes the same entries but syncs
neither them nor their directory; and it looks the whole log over at each commit, which a log of many small commits
does not bear.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from deltalake import DeltaTable, Schema

from lake.durable import create_file
from lake.errors import StorageError
from lake.table import Table

LOG = "_delta_log"
ENGINE = "lakehouse-analytics-platform"
# The features of these versions are all that every reader and writer of the lake knows.
_PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 2}
# What delta-rs leaves as it is in a path.
_PLAIN_IN_PATHS = "/=:@!$&'()*+,;~"

Action = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a log.

    Args:
        version: Its number.
        actions: What it holds, in order.
    """

    version: int
    actions: tuple[Action, ...]

    @property
    def info(self) -> dict[str, Any]:
        """What the commit says about itself; empty when it says nothing."""
        return next((dict(a["commitInfo"]) for a in self.actions if "commitInfo" in a), {})

    @property
    def added(self) -> tuple[Action, ...]:
        return tuple(a["add"] for a in self.actions if "add" in a)

    @property
    def changes_columns(self) -> bool:
        """Whether it says anew what the table's columns are, or who may read and write it."""
        return any("metaData" in a or "protocol" in a for a in self.actions)

    @property
    def removed(self) -> tuple[Action, ...]:
        return tuple(a["remove"] for a in self.actions if "remove" in a)


def entry_path(table_path: Path, version: int) -> Path:
    """The file of one version."""
    return table_path / LOG / f"{version:020d}.json"


def read_entry(table_path: Path, version: int) -> Entry | None:
    """One version's entry; None when the log has no file for it.

    Raises:
        StorageError: The file cannot be read, or is torn.
    """
    path = entry_path(table_path, version)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read the log: {error.strerror}", where=str(path)) from None
    try:
        actions = tuple(orjson.loads(line) for line in content.splitlines() if line)
    except orjson.JSONDecodeError:
        actions = ()
    if not actions or not all(isinstance(a, dict) for a in actions):
        raise StorageError(
            f"the log entry is torn ({len(content)} bytes)",
            where=str(path),
            mend="stop the writers; ./lakehouse serve mends a torn newest entry when it starts",
        )
    return Entry(version, actions)


def write_entry(table_path: Path, version: int, actions: Iterable[Action]) -> bool:
    """Make actions a version of the table, unless somebody else has made that version.

    Returns:
        Whether the version is ours; it is on the disk then.

    Raises:
        OSError: See durable.create_file.
    """
    content = b"\n".join(orjson.dumps(action) for action in actions)
    return create_file(entry_path(table_path, version), content + b"\n")


def commit_info(operation: str, parameters: Mapping[str, str], metadata: Mapping[str, Any]) -> Action:
    """What a commit says about itself: an operation by Delta's name, and the record of ours."""
    info = {
        "timestamp": time.time_ns() // 1_000_000,
        "operation": operation,
        "operationParameters": dict(parameters),
        "engineInfo": ENGINE,
        **metadata,
    }
    return {"commitInfo": info}


def add(name: str, status: os.stat_result, statistics: str, *, data_change: bool = True) -> Action:
    """A file of the table's directory becomes part of it.

    Args:
        name: Path under the table's directory.
        status: Of the file.
        statistics: JSON (see parquet_stats).
        data_change: False when the rows were in the table before.
    """
    action = {
        "path": quote(name, safe=_PLAIN_IN_PATHS),
        "partitionValues": {},
        "size": status.st_size,
        "modificationTime": status.st_mtime_ns // 1_000_000,
        "dataChange": data_change,
        "stats": statistics,
    }
    return {"add": action}


def remove(name: str, size: int, *, data_change: bool = True) -> Action:
    """A file is no longer part of the table; its bytes stay until vacuum."""
    action = {
        "path": quote(name, safe=_PLAIN_IN_PATHS),
        "deletionTimestamp": time.time_ns() // 1_000_000,
        "dataChange": data_change,
        "extendedFileMetadata": True,
        "partitionValues": {},
        "size": size,
    }
    return {"remove": action}


def application(name: str, version: int) -> Action:
    """An application transaction: who committed what, once."""
    return {"txn": {"appId": name, "version": version, "lastUpdated": time.time_ns() // 1_000_000}}


def create(table: Table, configuration: Mapping[str, str]) -> tuple[Action, ...]:
    """The first actions of a table."""
    columns = metadata(
        str(uuid.uuid4()),
        table.full_name,
        table.description,
        Schema.from_arrow(table.schema),
        created_ms=time.time_ns() // 1_000_000,
        configuration=configuration,
    )
    return {"protocol": _PROTOCOL}, columns


def metadata(
    identifier: str,
    name: str | None,
    description: str | None,
    schema: Schema,
    *,
    created_ms: int | None,
    configuration: Mapping[str, str],
    partitioned_by: Sequence[str] = (),
) -> Action:
    """What a table is, its columns above all."""
    columns = {
        "id": identifier,
        "name": name,
        "description": description,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema.to_json(),
        "partitionColumns": list(partitioned_by),
        "createdTime": created_ms,
        "configuration": dict(configuration),
    }
    return {"metaData": columns}


def metadata_of(delta: DeltaTable) -> Action:
    """What a table is in an opened version."""
    found = delta.metadata()
    return metadata(
        str(found.id),
        found.name,
        found.description,
        delta.schema(),
        created_ms=found.created_time,
        configuration=found.configuration,
        partitioned_by=found.partition_columns,
    )
