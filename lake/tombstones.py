"""Tombstones, by which a checkpoint tells of files that left the table: forgotten when no readable version had them.

Delta carries each in every checkpoint for a week (Delta transaction protocol, "Add File and Remove File"), so that
vacuum leaves the file to those who still read it. A log of many small commits would carry millions. Vacuum, here and
of others, lists the table's directory and goes by a file's age where no tombstone tells of it: so the file is made new.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_ROWS_AT_ONCE = 10_000
_WHAT_NAMES_ONE = ["remove.path", "remove.deletionTimestamp", "remove.deletionVector"]


def forget_tombstones(table_path: Path, checkpoint: Path, below: Path) -> int:
    """Write a checkpoint that nobody reads yet anew, without the tombstones that an older one has too.

    Args:
        table_path: Directory of the table.
        checkpoint: Parquet file of the newer one.
        below: Parquet file of the checkpoint that the oldest readable version is read from. A file that had left
            the table by then is in no version from there on.

    Returns:
        Tombstones forgotten; the file is untouched when there were none.

    Raises:
        OSError: The checkpoint cannot be written.
        pyarrow.ArrowException: One of the two is torn.
    """
    with pq.ParquetFile(below) as older:
        known = pa.chunked_array([_names(b) for b in older.iter_batches(_ROWS_AT_ONCE, columns=_WHAT_NAMES_ONE)])
    known = known.combine_chunks().drop_null() if known.num_chunks else pa.array([], pa.string())
    smaller = checkpoint.with_suffix(".smaller")
    forgotten = 0
    with pq.ParquetFile(checkpoint) as made, _written_like(made, smaller) as writer:
        for batch in made.iter_batches(_ROWS_AT_ONCE):
            doomed = pc.is_in(_names(batch), value_set=known, skip_nulls=True)
            for name in pc.struct_field(batch.column("remove"), "path").filter(doomed).to_pylist():
                forgotten += 1
                _make_new(table_path, name)
            writer.write_batch(batch.filter(pc.invert(doomed)))
    if forgotten:
        smaller.replace(checkpoint)
    else:
        smaller.unlink()
    return forgotten


def _written_like(made: pq.ParquetFile, target: Path) -> pq.ParquetWriter:
    # Readers of checkpoints look for the columns, and for nothing of Arrow's own.
    return pq.ParquetWriter(target, made.schema_arrow, store_schema=False)


def _names(actions: pa.RecordBatch) -> Any:
    """Path with moment of each tombstone; NULL for every other action, and where rows left a file that stayed."""
    removed = actions.column("remove")
    moments = pc.cast(pc.struct_field(removed, "deletionTimestamp"), pa.string())
    names = pc.binary_join_element_wise(pc.struct_field(removed, "path"), moments, "\n")
    if removed.type.get_field_index("deletionVector") < 0:
        return names
    whole = pc.is_null(pc.struct_field(removed, "deletionVector"))
    return pc.if_else(whole, names, pa.scalar(None, pa.string()))


def _make_new(table_path: Path, name: str) -> None:
    file = table_path / unquote(name)
    # A stranger's tombstone may name a file outside the table.
    if ".." not in file.parts and file.is_relative_to(table_path):
        with suppress(FileNotFoundError):
            os.utime(file)
