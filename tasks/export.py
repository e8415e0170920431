"""Exports: every gold mart as CSV (and Parquet on request), each file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lake.errors import StorageError
from lake.gated import last_gated
from lake.table import TEXT, Table
from lake.tables import GOLD
from sql.engines.duckdb import sql_text
from tasks.workspace import Workspace

# A spreadsheet runs a cell that begins with one of these as a formula.
# Source: OWASP, "CSV Injection". A leading apostrophe makes it text.
FORMULA_STARTS = "=+-@\t\r"


def export_marts(workspace: Workspace, marts: Sequence[Table] = GOLD) -> tuple[Path, ...]:
    """Write the last gated versions of gold tables to the export directory, rows in key order.

    Returns:
        The files written; a mart that was never published has none.

    Raises:
        StorageError: The directory cannot be written, or the disk is full; earlier exports stay whole.
    """
    directory = workspace.settings.export.directory
    written = []
    with workspace.engine() as engine:
        for table in marts:
            gated = last_gated(workspace.lake, table)
            if gated is None:
                continue
            engine.register(table, gated.files)
            for file_format in workspace.settings.export.formats:
                target = directory / f"{table.name}.{file_format}"
                with whole_file(target) as unfinished:
                    engine.copy(_select(table, file_format), unfinished, file_format)
                written.append(target)
    return tuple(written)


def _select(table: Table, file_format: str) -> str:
    columns = [
        _neutralised(c.name) if file_format == "csv" and c.type == TEXT else f'"{c.name}"' for c in table.columns
    ]
    keys = ", ".join(f'"{k}"' for k in table.key)
    return f"SELECT {', '.join(columns)} FROM {table.full_name} ORDER BY {keys}"


def _neutralised(column: str) -> str:
    starts = ", ".join(sql_text(start) for start in FORMULA_STARTS)
    return f"""CASE WHEN left("{column}", 1) IN ({starts}) THEN '''' || "{column}" ELSE "{column}" END AS "{column}\""""


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A place to write `target`'s content; the file appears under its name only when the block succeeds.

    Raises:
        StorageError: The directory cannot be written, or the disk is full.
    """
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        unfinished.replace(target)
    except OSError as error:
        raise StorageError(f"cannot write: {error.strerror}", where=str(target), mend="mend the directory") from error
    finally:
        # Renamed when all went well; when not, the reason is on its way up, and this would hide it.
        with suppress(OSError):
            unfinished.unlink()
