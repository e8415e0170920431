"""Checkpoints: the state of a version as one file, from which readers start and below which entries may go.

delta-rs writes them, but in the log itself and without syncing, so that a power cut may leave a torn one; and each
tells of every file that left the table in the last week. So it writes beside the log, and what it wrote gets its
name there once it is whole, kept, and as small as the versions that can still be read allow.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lake.durable import create_file, replace_file
from lake.lake import Lake, readable
from lake.log import LOG, entry_path
from lake.log_listing import LAST_CHECKPOINT, LogListing, list_log
from lake.table import Table
from lake.tombstones import forget_tombstones
from lake.torn_checkpoints import is_whole


def checkpoint(lake: Lake, table: Table) -> None:
    """Write the state of a table's newest version as one file, unless there is one.

    Killed at any step, or with the power cut, the log has the whole checkpoint or none.

    Raises:
        StorageError: The log is torn, or the disk is full.
    """
    path = lake.path(table)
    listing = list_log(path)
    if listing.newest in {-1, *listing.checkpoints}:
        return
    with readable(path), written_beside(path, listing.newest) as (file, hint):
        below = _oldest_to_read(listing)
        if below is not None and forget_tombstones(path, file, below):
            hint.write_bytes(_hint(hint, file))
        create_file(path / LOG / file.name, file.read_bytes())
        if _named(path / LOG / LAST_CHECKPOINT) < listing.newest:
            replace_file(path / LOG / LAST_CHECKPOINT, hint.read_bytes())


@contextmanager
def written_beside(table_path: Path, version: int) -> Iterator[tuple[Path, Path]]:
    """A checkpoint of a version and the hint that leads to it, made from a copy of the log's end; gone afterwards.

    Raises:
        StorageError: The log is torn, or there is no room for the checkpoint.
        FileNotFoundError: An entry went while it was copied.
        OSError: There is no room for the copy.
    """
    listing = list_log(table_path)
    base = max((c for c in listing.checkpoints if c <= version), default=-1)
    files = [*listing.checkpoints.get(base, ()), *(entry_path(table_path, v) for v in range(base + 1, version + 1))]
    with tempfile.TemporaryDirectory(prefix="lakehouse-checkpoint-") as folder:
        log = Path(folder) / LOG
        log.mkdir()
        for file in files:
            shutil.copy(file, log / file.name)
        with readable(table_path):
            DeltaTable(folder).create_checkpoint()
        yield log / f"{version:020d}.checkpoint.parquet", log / LAST_CHECKPOINT


def _oldest_to_read(listing: LogListing) -> Path | None:
    """The checkpoint that the oldest version there is is read from; None while the log goes back to its beginning."""
    oldest = min(listing.checkpoints, default=-1)
    files = listing.checkpoints.get(oldest, ())
    if len(files) != 1 or min(listing.entries, default=oldest) < oldest or not is_whole(files[0]):
        return None
    return files[0] if files[0].suffix == ".parquet" else None


def _hint(made: Path, file: Path) -> bytes:
    """A hint as delta-rs made it, with the size that the checkpoint has by now."""
    said = orjson.loads(made.read_bytes())
    return orjson.dumps(said | {"size": pq.read_metadata(file).num_rows, "sizeInBytes": file.stat().st_size})


def _named(hint: Path) -> int:
    """The version a hint leads to; -1 where it leads nowhere."""
    try:
        return int(orjson.loads(hint.read_bytes())["version"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return -1
