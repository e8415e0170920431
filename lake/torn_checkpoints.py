"""Checkpoints that a power cut tore: moved aside as long as the entries they stand for are all there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from lake.aside import Repaired, move_aside
from lake.errors import StorageError
from lake.log import LOG, entry_path
from lake.log_listing import LAST_CHECKPOINT, LogListing

_ROWS_AT_ONCE = 10_000


def is_whole(file: Path, *, every_page: bool = False) -> bool:
    """Whether a checkpoint file can be read.

    Args:
        file: Parquet, or JSON for a checkpoint whose parts lie in side files.
        every_page: Read all of it, not the footer alone: a tear may leave zeros in the middle.
    """
    try:
        if file.suffix == ".json":
            return bool([orjson.loads(line) for line in file.read_bytes().splitlines() if line])
        with pq.ParquetFile(file) as parquet:
            if every_page:
                for _ in parquet.iter_batches(_ROWS_AT_ONCE, use_threads=False):
                    pass
        return True
    except (pa.ArrowException, OSError, ValueError):
        return False


def mend_checkpoints(table_path: Path, listing: LogListing) -> list[Repaired]:
    """Move torn checkpoints aside, and the hint to the newest one when it leads nowhere.

    Raises:
        StorageError: Without a torn checkpoint the table cannot be read.
        OSError: A file cannot be renamed.
    """
    newest = max(listing.checkpoints, default=-1)
    torn = {
        version: files
        for version, files in listing.checkpoints.items()
        if any(_is_torn(file, every_page=version == newest) for file in files)
    }
    if newest in torn:
        # Older ones are read by nobody while a newer is whole; now one of them may be.
        torn |= {v: f for v, f in listing.checkpoints.items() if any(_is_torn(g, every_page=True) for g in f)}
    _require_entries(listing, torn)
    done = [
        move_aside(file, version, "torn checkpoint")
        for version, files in sorted({**torn, **listing.incomplete}.items())
        for file in files
    ]
    return [*done, *_mend_hint(table_path, frozenset(listing.checkpoints) - torn.keys())]


def _is_torn(file: Path, *, every_page: bool) -> bool:
    # One that is gone by now was superseded: the keeper deleted it.
    return not is_whole(file, every_page=every_page) and file.exists()


def _require_entries(listing: LogListing, torn: dict[int, tuple[Path, ...]]) -> None:
    if not torn:
        return
    missing = next(listing.missing(listing.newest, frozenset(listing.checkpoints) - torn.keys()), None)
    if missing is not None:
        raise StorageError(
            f"checkpoint {max(torn)} is torn, and version {missing} that it stands for is no longer in the log",
            where=str(torn[max(torn)][0]),
            mend=f"restore {LOG} from a backup",
        )


def _mend_hint(table_path: Path, checkpoints: frozenset[int]) -> Sequence[Repaired]:
    hint = table_path / LOG / LAST_CHECKPOINT
    try:
        named = orjson.loads(hint.read_bytes())["version"]
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError):
        return (move_aside(hint, LAST_CHECKPOINT.strip("_"), "torn hint to the newest checkpoint"),)
    if named in checkpoints:
        return ()
    return (move_aside(hint, LAST_CHECKPOINT.strip("_"), f"hint to checkpoint {named}, which is not there"),)


def move_above_aside(listing: LogListing, version: int) -> list[Repaired]:
    """Move checkpoints aside that hold `version` or anything above it."""
    every = {**listing.checkpoints, **listing.incomplete}
    return [
        move_aside(file, checkpoint, f"checkpoint of {entry_path(Path(), version).name} or above it")
        for checkpoint, files in sorted(every.items())
        if checkpoint >= version
        for file in files
    ]
