"""Maintenance: compact small files and drop files no kept version needs, table by table."""

from __future__ import annotations

from dataclasses import dataclass

from deltalake import CommitProperties

from lake.gated import last_gated
from lake.lake import readable
from lake.table import Table
from lake.tables import BY_NAME
from tasks.workspace import Workspace

HOURS_A_DAY = 24


@dataclass(frozen=True, slots=True)
class Maintained:
    """What maintenance did to one table, in files."""

    table: str
    compacted: int
    removed: int


def maintain(workspace: Workspace) -> list[Maintained]:
    """Compact, vacuum by each table's declared retention, and checkpoint; rows stay the same.

    Raises:
        StorageError: A table cannot be read or written.
    """
    return [done for table in BY_NAME.values() if (done := _maintain_table(workspace, table)) is not None]


def _maintain_table(workspace: Workspace, table: Table) -> Maintained | None:
    lake = workspace.lake
    gated, delta = last_gated(lake, table), lake.open(table)
    # Compacting past the gate would mix checked files with unchecked ones.
    if gated is None or delta is None or gated.version != delta.version():
        return None
    # The same rows under the same gate: the record goes along.
    properties = CommitProperties(custom_metadata=gated.record.to_metadata())
    with readable(lake.path(table)):
        compacted = delta.optimize.compact(commit_properties=properties)["numFilesRemoved"]
        removed = delta.vacuum(
            retention_hours=table.retention_days * HOURS_A_DAY,
            dry_run=False,
            full=True,
            enforce_retention_duration=False,
            commit_properties=properties,
        )
        delta.create_checkpoint()
    return Maintained(table.full_name, compacted, len(removed))
