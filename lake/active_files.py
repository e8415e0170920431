"""The files of one version of a table, as its log names them."""

from __future__ import annotations

from dataclasses import dataclass

from deltalake import DeltaTable


@dataclass(frozen=True, slots=True)
class ActiveFile:
    """A file of a table's version: path under its directory, bytes, rows (None: not said), moment written (ms)."""

    name: str
    size: int
    rows: int | None
    written_at: int


def active_files(delta: DeltaTable) -> list[ActiveFile]:
    """Files of the version a table is opened at."""
    actions = delta.get_add_actions(flatten=True)
    columns = [actions.column(name).to_pylist() for name in ("path", "size_bytes", "num_records", "modification_time")]
    return [ActiveFile(*values) for values in zip(*columns, strict=True)]
