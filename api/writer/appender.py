"""Appends to one Delta table, a file and a version at a time, remembering its place in the log.

Kept on the disk in an order that leaves no torn commit: the file's bytes, the file's name, the log entry's bytes, the
log entry's name (lake.durable). The place is remembered because finding it means listing the log.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lake import log
from lake.candidate import Balance
from lake.committing import TRIES
from lake.durable import NameNotKeptError, make_directory, sync_directory, write_file
from lake.errors import LakeBusyError, StorageError
from lake.foreign import keep_foreign
from lake.gated import EXEMPT, PENDING, GateRecord, Standing, is_exempt, standing
from lake.lake import Lake
from lake.parquet_stats import footer_statistics
from lake.publish import TABLE_PROPERTIES
from lake.repair import repair
from lake.table import TEXT, Table

# Columns whose values differ from row to row gain nothing from a dictionary and pay for building one.
_PLAIN = ("transaction_id", "account_id", "occurred_at", "amount", "_line", "payload", "quarantine_id")
# Values that the encoder takes from one call to the next; 1,024 as it is, which costs a tenth more.
_VALUES_AT_ONCE = 2**16

# Rows of the version they will be committed as.
Build = Callable[[int], pa.Table]


@dataclass(frozen=True, slots=True)
class Appended:
    """A commit of ours.

    Args:
        version: The table's new version.
        lost_races: Versions that others made first.
    """

    version: int
    lost_races: int


class Appender:
    """The newest version of one table, and how to make the next.

    Args:
        lake: The lake.
        table: Declaration.
        writer_id: Names files and, in every commit, who made it.
        max_file_rows: More rows are written as several files at once, which more processors than one can do.
    """

    def __init__(self, lake: Lake, table: Table, writer_id: str, max_file_rows: int) -> None:
        self._table, self._writer_id, self._max_file_rows = table, writer_id, max_file_rows
        self._path = lake.path(table)
        self._threads = ThreadPoolExecutor(os.cpu_count(), f"write-{table.name}")
        self._dictionaries = [c.name for c in table.columns if c.name not in _PLAIN]
        # Text other than ids is alike in all files: bounds of it lead no reader past one.
        self._bounded = [c.name for c in table.columns if c.type != TEXT or c.name in table.key]
        repair(lake, table)
        delta = lake.open(table)
        self.version = -1 if delta is None else int(delta.version())
        self._standing = self._settled()

    def _settled(self) -> Standing:
        """How the newest version stands; what is there, whoever wrote it, is kept from now on."""
        try:
            make_directory(self._path / log.LOG)
            # Whoever made one of them may have been killed before it kept the name.
            for directory in (self._path.parent.parent, self._path.parent, self._path, self._path / log.LOG):
                sync_directory(directory)
            keep_foreign(self._path, self.version)
        except OSError as error:
            raise StorageError(f"cannot keep the table: {error.strerror}", where=str(self._path)) from None
        return standing(self._path, self.version)

    def append(self, build: Build, balance: Balance) -> Appended:
        """Commit rows as the next version; they are on the disk when this returns.

        Args:
            build: Makes the rows, which name their version.
            balance: Where the rows that were received went.

        Raises:
            NameNotKeptError: The rows are in the table, but the disk did not confirm it.
            OSError: The disk is full or refuses; the rows are not in the table.
            LakeBusyError: Others commit faster than this can.
            StorageError: Somebody left a torn entry.
        """
        for lost in range(TRIES):
            version = self.version + 1
            if self._committed(version, build(version), balance):
                self.version = version
                return Appended(version, lost)
            self._catch_up()
        raise LakeBusyError("other writers commit faster than this one", where=str(self._path))

    def _committed(self, version: int, rows: pa.Table, balance: Balance) -> bool:
        count = max(1, -(-rows.num_rows // self._max_file_rows))
        paths = [self._path / f"{version:010d}-{self._writer_id}{f'-{n}' if n else ''}.parquet" for n in range(count)]
        try:
            added = self._written(paths, rows)
        except BaseException:
            _remove(paths)
            raise
        try:
            sync_directory(self._path)
            ours = log.write_entry(self._path, version, self._actions(version, added, balance))
        except NameNotKeptError:
            raise
        except OSError as error:
            if log.entry_path(self._path, version).exists():
                # The call that failed came after the one that made the version.
                raise NameNotKeptError(error.errno, error.strerror, str(paths[0])) from error
            _remove(paths)
            raise
        if not ours:
            _remove(paths)
        return ours

    def _written(self, paths: Sequence[Path], rows: pa.Table) -> list[log.Action]:
        """Rows as files of about one size; all attempts have ended when this returns or raises."""
        if len(paths) == 1:
            return [self._file(paths[0], rows)]
        size = -(-rows.num_rows // len(paths))
        parts = [rows.slice(n * size, size) for n in range(len(paths))]
        begun = [self._threads.submit(self._file, path, part) for path, part in zip(paths, parts, strict=True)]
        wait(begun)
        return [file.result() for file in begun]

    def _file(self, path: Path, rows: pa.Table) -> log.Action:
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(
            sink,
            rows.schema,
            use_dictionary=self._dictionaries,
            # Snappy takes a fifth of a file off and a third of its time; compaction's zstd takes off more.
            compression="none",
            write_statistics=self._bounded,
            write_batch_size=_VALUES_AT_ONCE,
            store_schema=False,
        ) as writer:
            writer.write_table(rows)
        # Left by a try whose outcome was an error: no version names it.
        path.unlink(missing_ok=True)
        write_file(path, memoryview(sink.getvalue()))
        # Known once the Parquet file is closed.
        return log.add(path.name, path.stat(), footer_statistics(writer.writer.metadata))

    def _actions(self, version: int, added: Sequence[log.Action], balance: Balance) -> list[log.Action]:
        if is_exempt(self._table):
            record = GateRecord(self._writer_id, EXEMPT, balance=balance)
        else:
            found = self._standing
            record = GateRecord(self._writer_id, PENDING, balance=balance, last_open=found.last_open, clean=found.clean)
        return [
            log.commit_info("WRITE", {"mode": "Append", "partitionBy": "[]"}, record.to_metadata()),
            *(log.create(self._table, TABLE_PROPERTIES) if version == 0 else ()),
            *added,
        ]

    def _catch_up(self) -> None:
        """Read what others committed.

        Raises:
            NameNotKeptError: An entry is this process's own, although the disk had said that it failed.
            OSError: The disk did not take what they wrote.
            StorageError: They left a torn entry, or changed the table's columns.
        """
        while (entry := log.read_entry(self._path, self.version + 1)) is not None:
            record = GateRecord.from_metadata(entry.info)
            if record is not None and record.run_id == self._writer_id:
                raise NameNotKeptError(errno.EIO, os.strerror(errno.EIO), str(self._path))
            self.version += 1
            if entry.changes_columns and self.version > 0:
                raise StorageError(
                    f"version {self.version} changes the table's columns or protocol",
                    where=str(self._path),
                    mend="restart the service with the code that knows them",
                )
        keep_foreign(self._path, self.version)
        self._standing = standing(self._path, self.version)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
