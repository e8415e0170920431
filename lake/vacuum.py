"""Vacuum: bytes that no kept version needs are deleted.

delta-rs decides which; the deleting and the two commits that tell of it are ours, as delta-rs syncs no commit and a
power cut could tear an entry that acknowledged rows lie on top of by then.
"""

from __future__ import annotations

from pathlib import Path

from lake.active_files import active_files
from lake.errors import StorageError
from lake.gated import last_gated
from lake.lake import Lake, readable
from lake.same_rows import carried, commit_same_rows
from lake.table import Table

HOURS_A_DAY = 24


def vacuum(lake: Lake, table: Table) -> int:
    """Delete files that left the table longer than its declared retention ago, or never became part of it.

    Those of the last gated version stay, however old, until a gate lets in a newer one.

    Returns:
        Files deleted; 0 also where somebody wrote past the gate.

    Raises:
        StorageError: The table cannot be read or written.
        LakeBusyError: Others commit faster than this can.
    """
    path, delta = lake.path(table), lake.open(table)
    if delta is None or carried(path, int(delta.version())) is None:
        return 0
    with readable(path):
        found = delta.vacuum(
            retention_hours=table.retention_days * HOURS_A_DAY,
            dry_run=True,
            full=True,
            enforce_retention_duration=False,
        )
    gated = last_gated(lake, table)
    read = {f.name for f in active_files(gated.delta)} if gated is not None else set()
    doomed = sorted(set(found) - read)
    if not doomed:
        return 0
    with readable(path):
        parameters = {"specifiedRetentionMillis": str(table.retention_days * HOURS_A_DAY * 3_600_000)}
        version = commit_same_rows(path, int(delta.version()), "VACUUM START", parameters, ())
        if version is None:
            return 0
        for name in doomed:
            _inside(path, name).unlink(missing_ok=True)
        commit_same_rows(path, version, "VACUUM END", {"status": "COMPLETED"}, ())
    return len(doomed)


def _inside(path: Path, name: str) -> Path:
    target = path / name
    if ".." in Path(name).parts or not target.is_relative_to(path):
        raise StorageError("vacuum would delete a file outside the table", where=str(target))
    return target
