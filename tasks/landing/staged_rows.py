"""Staged Parquet files that grow row group by row group, and can be taken back whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import StorageError
from sql.engines.duckdb import TARGET_FILE_BYTES

# DuckDB's own row group size, which every engine reads in parallel.
ROW_GROUP_ROWS = 122_880
# Rows of long text reach memory limits long before the row limit.
ROW_GROUP_BYTES = 64 * 1024 * 1024


class StagedRows:
    """Rows on their way into Parquet files of one schema; nothing is written before a row group is full.

    Args:
        directory: Where the files go; created when needed.
        stem: Files are named ``<stem>-<number>.parquet``.
        schema: Arrow schema of every file.
    """

    def __init__(self, directory: Path, stem: str, schema: pa.Schema) -> None:
        self._directory, self._stem, self._schema = directory, stem, schema
        self._waiting: list[pa.Table] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._files: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0

    def add(self, rows: pa.Table) -> None:
        """Append rows of the schema.

        Raises:
            StorageError: The disk is full or the directory cannot be written.
        """
        if not rows.num_rows:
            return
        self._waiting.append(rows)
        self.rows += rows.num_rows
        self._waiting_rows += rows.num_rows
        self._waiting_bytes += rows.nbytes
        if self._waiting_rows >= ROW_GROUP_ROWS or self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> tuple[Path, ...]:
        """Write what waits and finish the files; none when there were no rows.

        Raises:
            StorageError: See `add`.
        """
        self._flush()
        self._finish_file()
        return tuple(self._files)

    def move_into(self, other: StagedRows) -> tuple[Path, ...]:
        """Hand rows that are still in memory to `other`, or close when some are in files already.

        Many small sources so end in few files.

        Returns:
            Files of its own, which `other` does not know of.

        Raises:
            StorageError: See `add`.
        """
        if self._files:
            return self.close()
        for rows in self._waiting:
            other.add(rows)
        self._forget()
        return ()

    def discard(self) -> None:
        """Take everything back."""
        writer, self._writer = self._writer, None
        with suppress(OSError, pa.ArrowException):
            if writer is not None:
                writer.close()
        for file in self._files:
            file.unlink(missing_ok=True)
        self._files = []
        self.rows = 0
        self._forget()

    def _forget(self) -> None:
        self._waiting = []
        self._waiting_rows = self._waiting_bytes = 0

    def _flush(self) -> None:
        if not self._waiting:
            return
        rows = pa.concat_tables(self._waiting)
        self._forget()
        with _explained(self._directory):
            if self._writer is None:
                self._directory.mkdir(parents=True, exist_ok=True)
                file = self._directory / f"{self._stem}-{len(self._files):05d}.parquet"
                self._files.append(file)
                self._writer = pq.ParquetWriter(file, self._schema, compression="zstd", compression_level=1)
            self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        if self._files[-1].stat().st_size >= TARGET_FILE_BYTES:
            self._finish_file()

    def _finish_file(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with _explained(self._directory):
                writer.close()


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write: {error.strerror or error}",
            where=str(directory),
            mend="free space or give this user the right to write there; nothing of this run was published",
        ) from error
