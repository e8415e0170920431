"""Landing: files of one table's inbox folder become one bronze candidate and its quarantine rows."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from lake.candidate import Balance, Candidate, Run
from lake.errors import BadInputError, ModelError, StorageError
from lake.settings import LandSettings
from lake.table import Table
from lake.tables import quarantine_of
from sql.engines.duckdb import DuckDBEngine
from tasks.landing import parquet_rows
from tasks.landing.chunk import Chunk, FileRefusedError, RefusedLine
from tasks.landing.csv_rows import read_csv
from tasks.landing.inbox import FORMAT_UNKNOWN, InboxFile, open_source, readable
from tasks.landing.jsonl_rows import read_jsonl
from tasks.landing.part import Origin, Part, quarantine_rows
from tasks.landing.staged_rows import StagedRows
from tasks.landing.strict_types import StrictTypes
from tasks.landing.text_lines import GzipReader, HashingReader

# Enough of a refused file to recognise it by.
HEAD_BYTES = 4 * 1024
# Below this a Parquet file shares a staged file with others; DuckDB would write one for each.
DIRECT_FROM_ROWS = 100_000

logger = logging.getLogger("lakehouse")


def land(
    engine: DuckDBEngine, table: Table, files: Sequence[InboxFile], staging: Path, run: Run, settings: LandSettings
) -> Candidate:
    """Stage the rows of files as bronze rows; malformed rows and files go to quarantine.

    Args:
        engine: DuckDB with bounded memory.
        table: Bronze table.
        files: From `pending_files`.
        staging: Directory of this run's candidates, on the lake's file system.
        run: Its time is every row's `_ingested_at`.
        settings: `max_field_bytes` bounds a field, and with it a line.

    Returns:
        A candidate in mode "append" that names every file's batch. A file refused whole counts as one row
        received and one quarantined, at line 0.

    Raises:
        BadInputError: A file cannot be read or changed while it was being read; nothing is left in staging.
        StorageError: The disk is full or staging cannot be written; nothing is left in staging.
    """
    batches = tuple(file.batch_id for file in files)
    with staged_in(staging, table, batches) as directory:
        landing = _Landing(engine, table, directory, run, settings)
        with StrictTypes(engine, table, settings.max_field_bytes) as types:
            for index, file in enumerate(files):
                landing.take(file, index, types)
        return landing.candidate(batches)


@contextmanager
def staged_in(staging: Path, table: Table, batches: Sequence[str]) -> Iterator[Path]:
    """A directory for one candidate: what an earlier attempt left is gone, and all of it when this one fails."""
    identity = hashlib.sha256("|".join(batches).encode()).hexdigest()[:16]
    directory = staging / "landing" / f"{table.full_name}-{identity}"
    shutil.rmtree(directory, ignore_errors=True)
    try:
        yield directory
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


class _Landing:
    """Gathers the parts of one candidate."""

    def __init__(self, engine: DuckDBEngine, table: Table, directory: Path, run: Run, settings: LandSettings) -> None:
        self._engine, self._table, self._directory, self._run = engine, table, directory, run
        self._max_field_bytes = settings.max_field_bytes
        # One more than the columns, for names, quotes and commas.
        self._max_line_bytes = settings.max_field_bytes * (len(table.payload) + 1)
        self._landed = StagedRows(directory, "landed", table.schema)
        self._refused = StagedRows(directory, "refused", quarantine_of(table).schema)
        self._files: list[Path] = []
        self._refused_files: list[Path] = []
        self._received = self._published = self._quarantined = 0

    def take(self, file: InboxFile, index: int, types: StrictTypes) -> None:
        """Land one file, or refuse it whole."""
        part = Part(self._table, Origin(file.name, file.batch_id), self._run, self._directory / f"{index:05d}")
        if file.refusal is not None and file.refusal != FORMAT_UNKNOWN:
            # Its content is not ours to read.
            self._refuse_whole(file, (file.refusal,), b"")
            return
        with _unchanged(file) as source:
            head = os.pread(source.fileno(), HEAD_BYTES, 0)
            try:
                self._read(file, source, part, types)
            except FileRefusedError as refusal:
                part.discard()
                self._refuse_whole(file, refusal.rules, head)
                return
            except BaseException:
                part.discard()
                raise
        self._keep(part)

    def candidate(self, batches: tuple[str, ...]) -> Candidate:
        """What was gathered."""
        return Candidate(
            self._table.full_name,
            (*self._files, *self._landed.close()),
            Balance(self._received, self._published, 0, self._quarantined),
            (*self._refused_files, *self._refused.close()),
            "append",
            batches,
        )

    def _read(self, file: InboxFile, source: io.FileIO, part: Part, types: StrictTypes) -> None:
        if file.refusal is not None:
            raise FileRefusedError(file.refusal)
        if file.file_format == "parquet":
            self._read_parquet(file, part, types)
            return
        for chunk in self._text_chunks(file, source):
            part.add(chunk, types)

    def _text_chunks(self, file: InboxFile, source: io.FileIO) -> Iterator[Chunk]:
        hashing = HashingReader(source, file.name)
        content = GzipReader(hashing) if file.compressed else hashing
        read = read_csv if file.file_format == "csv" else read_jsonl
        try:
            yield from read(content, self._table, self._max_line_bytes)
        except FileRefusedError:
            _require_batch(file, hashing)
            raise
        _require_batch(file, hashing)

    def _read_parquet(self, file: InboxFile, part: Part, types: StrictTypes) -> None:
        rows = parquet_rows.check_columns(file.path, self._table)
        if rows >= DIRECT_FROM_ROWS and self._written_directly(file, rows, part, types):
            return
        for chunk in parquet_rows.read_parquet(file.path, self._table):
            part.add(chunk, types)

    def _written_directly(self, file: InboxFile, rows: int, part: Part, types: StrictTypes) -> bool:
        """Let DuckDB copy the file; False when its types need the slower road, or DuckDB stumbles over it."""
        engine, table, limit = self._engine, self._table, self._max_field_bytes
        try:
            if not parquet_rows.has_declared_types(engine, file.path, table):
                return False
            origin = Origin(file.name, file.batch_id)
            select = parquet_rows.good_rows(table, file.path, origin, self._run.at, limit)
            files = engine.write(select, table, part.directory)
            part.add_written(files, engine.count(files))
            if part.written_rows < rows:
                for chunk in parquet_rows.read_bad_rows(engine, table, file.path, limit):
                    part.add(chunk, types)
        except (duckdb.Error, ModelError, StorageError) as error:
            # Damaged file or full disk look alike here; the slower road tells them apart.
            logger.info("%s is read row by row: %s", file.name, error)
            part.discard()
            return False
        return True

    def _refuse_whole(self, file: InboxFile, rules: tuple[str, ...], head: bytes) -> None:
        payload = head.decode("utf-8", "replace").replace("\0", "\ufffd")
        line = RefusedLine(0, rules, payload)
        self._refused.add(quarantine_rows(self._table, Origin(file.name, file.batch_id), [line], self._run))
        self._received += 1
        self._quarantined += 1

    def _keep(self, part: Part) -> None:
        self._received += part.received
        self._published += part.written_rows + part.landed.rows
        self._quarantined += part.refused.rows
        self._files += [*part.written, *part.landed.move_into(self._landed)]
        self._refused_files += part.refused.move_into(self._refused)


@contextmanager
def _unchanged(file: InboxFile) -> Iterator[io.FileIO]:
    """The file, open for reading, that must be the one found in the inbox from beginning to end.

    Raises:
        BadInputError: It cannot be read, or it is another file or content by now.
    """
    with readable(file.name):
        source = open_source(file.path)
    with source:
        before = _identity(os.fstat(source.fileno()))
        yield source
        with readable(file.name):
            after = _identity(file.path.lstat())
            source.seek(0)
            same_content = _is_text(file) or hashlib.file_digest(source, "sha256").hexdigest() == file.batch_id
    if before != after or not same_content:
        raise _changed(file)


def _is_text(file: InboxFile) -> bool:
    """Text is hashed as it is read; an unknown file's batch is not its content's hash alone."""
    return file.file_format != "parquet"


def _require_batch(file: InboxFile, hashing: HashingReader) -> None:
    if hashing.finish() != file.batch_id:
        raise _changed(file)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _changed(file: InboxFile) -> BadInputError:
    return BadInputError(
        "changed while it was being read",
        where=file.name,
        mend="write files under a name that begins with a dot and drop them in by renaming, then run again",
    )
