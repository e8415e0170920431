"""Compaction: many small files of a table become few large ones, beside writers that go on appending.

A merge reads only files of versions that are there already and commits as one more version, which removes what it
read and adds what it wrote. Whoever appends meanwhile is not disturbed: this side reads on and tries again.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from lake.active_files import ActiveFile, active_files
from lake.durable import TEMPORARY_PREFIX, NameNotKeptError, sync_directory, sync_file
from lake.errors import StorageError
from lake.gated import last_gated
from lake.lake import Lake, readable
from lake.log import Action, add, remove
from lake.parquet_stats import file_statistics
from lake.same_rows import carried, commit_same_rows
from lake.table import Table

TARGET_BYTES = 128 * 1024 * 1024
# Below this share of the target a file is always worth merging, whatever the others weigh.
_ALWAYS_SMALL = 1 / 128
# A row group is buffered whole by whoever writes or reads it.
_ROW_GROUP_ROWS = 131_072
_ROW_GROUP_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Compacted:
    """What compaction did to one table: files taken out, files put in, newest version made."""

    removed: int
    added: int
    version: int


def compact(lake: Lake, table: Table, *, min_files: int, target_bytes: int = TARGET_BYTES) -> Compacted | None:
    """Merge small files of a table's newest version; its rows and what stands to its gate stay the same.

    Admitted rows and rows that wait for the gate are never merged into one file. Killed at any step it leaves the
    table as it was before the last finished merge, and at most one file that no version names.

    Args:
        lake: The lake.
        table: What to compact.
        min_files: Fewer files worth merging than this are left alone; at least 2.
        target_bytes: Size of the files written, about; those of half of it are not touched.

    Returns:
        None when nothing was merged: too few files, rows past the gate, or somebody else took them out meanwhile.

    Raises:
        StorageError: The disk is full, the log is torn, or a file does not hold what the log says.
        LakeBusyError: Others commit faster than this can.
    """
    path, delta = lake.path(table), lake.open(table)
    if delta is None:
        return None
    version = int(delta.version())
    if carried(path, version) is None:
        return None
    chosen = worth_merging(active_files(delta), target_bytes)
    if len(chosen) < max(2, min_files):
        return None
    removed = added = 0
    newest: int | None = None
    for group in _groups(lake, table, chosen, target_bytes):
        made = _merge(path, table.schema, group, version)
        if made is not None:
            removed, added, newest = removed + len(group), added + 1, made
    return None if newest is None else Compacted(removed, added, newest)


def worth_merging(files: Sequence[ActiveFile], target_bytes: int) -> list[ActiveFile]:
    """Small files of which none weighs more than twice the others together, oldest first.

    So each time a byte is written again, the file it lies in has grown by half: it is copied at most
    log(target / size at first) / log(1.5) times, however often compaction runs.
    """
    small = sorted((f for f in files if f.size < target_bytes // 2), key=lambda f: (f.size, f.name))
    total, count = 0, 0
    for position, file in enumerate(small):
        if file.size <= max(2 * total, target_bytes * _ALWAYS_SMALL):
            count = position + 1
        total += file.size
    return sorted(small[:count], key=lambda f: (f.written_at, f.name))


def _groups(lake: Lake, table: Table, files: Sequence[ActiveFile], target_bytes: int) -> Iterator[list[ActiveFile]]:
    """Neighbours in time that together reach the target, admitted and waiting ones apart."""
    gated = last_gated(lake, table)
    admitted = {f.name for f in active_files(gated.delta)} if gated is not None else set()
    for kind in (True, False):
        group: list[ActiveFile] = []
        size = 0
        for file in (f for f in files if (f.name in admitted) is kind):
            group.append(file)
            size += file.size
            if size >= target_bytes and len(group) > 1:
                yield group
                group, size = [], 0
        if len(group) > 1:
            yield group


def _merge(path: Path, schema: pa.Schema, group: Sequence[ActiveFile], version: int) -> int | None:
    """One merge: write, keep, commit. The new file is gone again when the commit does not come about."""
    merged = path / f"compacted-{uuid.uuid4().hex}.parquet"
    removed = [remove(f.name, f.size, data_change=False) for f in group]
    with readable(path):
        try:
            added = _write(merged, path, schema, group)
            made = commit_same_rows(path, version, "OPTIMIZE", {"files": str(len(group))}, [*removed, added])
        except NameNotKeptError:
            # The commit is there; the file it names has to be too.
            raise
        except BaseException:
            merged.unlink(missing_ok=True)
            raise
        if made is None:
            merged.unlink()
        return made


def _write(target: Path, path: Path, schema: pa.Schema, group: Sequence[ActiveFile]) -> Action:
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{target.name}")
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd", compression_level=1) as writer:
            for rows in _row_groups([path / f.name for f in group], schema):
                writer.write_table(rows, row_group_size=rows.num_rows)
        statistics = file_statistics(temporary)
        _require_rows(path, group, int(orjson.loads(statistics)["numRecords"]))
        sync_file(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path)
    return add(target.name, target.stat(), statistics, data_change=False)


def _require_rows(path: Path, group: Sequence[ActiveFile], rows: int) -> None:
    expected = [f.rows for f in group if f.rows is not None]
    if len(expected) == len(group) and sum(expected) != rows:
        raise StorageError(
            f"{len(group)} files hold {rows} rows, the log says {sum(expected)}",
            where=str(path),
            mend="restore the table's directory from a backup",
        )


def _row_groups(files: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """The files' rows in order, as many at once as a row group may hold."""
    waiting: list[pa.Table] = []
    rows = size = 0
    for file in files:
        with pq.ParquetFile(file, coerce_int96_timestamp_unit="us") as source:
            for batch in source.iter_batches(_rows_at_once(source.metadata), use_threads=False):
                waiting.append(_declared(pa.Table.from_batches([batch]), schema))
                rows, size = rows + batch.num_rows, size + batch.nbytes
                if rows >= _ROW_GROUP_ROWS or size >= _ROW_GROUP_BYTES:
                    yield pa.concat_tables(waiting)
                    waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting)


def _rows_at_once(metadata: pq.FileMetaData) -> int:
    size = sum(int(metadata.row_group(i).total_byte_size) for i in range(metadata.num_row_groups))
    return max(1, min(_ROW_GROUP_ROWS, _ROW_GROUP_BYTES * int(metadata.num_rows) // max(size, 1)))


def _declared(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows in the declared columns and types; a column that the file lacks is NULL."""
    if rows.schema.equals(schema):
        return rows.cast(schema)
    columns = [
        rows[f.name].cast(f.type) if f.name in rows.column_names else pa.nulls(rows.num_rows, f.type) for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
