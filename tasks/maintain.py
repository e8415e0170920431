"""Maintenance: repair, compact small files and drop files no kept version needs, table by table."""

from __future__ import annotations

from dataclasses import dataclass

from lake.checkpoints import checkpoint
from lake.compaction import compact
from lake.repair import repair
from lake.same_rows import carried
from lake.table import Table
from lake.tables import BY_NAME
from lake.vacuum import vacuum
from tasks.workspace import Workspace

_FEWEST_FILES = 2


@dataclass(frozen=True, slots=True)
class Maintained:
    """What maintenance did to one table: torn things put right, small files merged, old files deleted."""

    table: str
    repaired: int
    compacted: int
    removed: int


def maintain(workspace: Workspace) -> list[Maintained]:
    """Repair, compact, vacuum by each table's declared retention, and checkpoint; rows stay the same.

    Raises:
        StorageError: A table cannot be read or written.
        LakeBusyError: Others commit faster than this can.
    """
    return [done for table in BY_NAME.values() if (done := _maintain_table(workspace, table)) is not None]


def _maintain_table(workspace: Workspace, table: Table) -> Maintained | None:
    lake = workspace.lake
    repaired = repair(lake, table)
    delta = lake.open(table)
    # Compacting past the gate would mix checked files with unchecked ones.
    if delta is None or carried(lake.path(table), int(delta.version())) is None:
        return Maintained(table.full_name, len(repaired), 0, 0) if repaired else None
    compacted = compact(lake, table, min_files=_FEWEST_FILES)
    removed = vacuum(lake, table)
    checkpoint(lake, table)
    return Maintained(table.full_name, len(repaired), compacted.removed if compacted else 0, removed)
