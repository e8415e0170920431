"""Files that grow by row groups of a fixed size, whatever batches the rows come in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

# Part of the format of generated files: DuckDB's own row group, which every engine reads in parallel.
ROW_GROUP_ROWS = 122_880


class RowFile(Protocol):
    """One file that rows are appended to."""

    def write(self, rows: pa.Table) -> None:
        """Append rows."""

    def close(self) -> None:
        """Finish the file."""


class ParquetFile:
    """A Parquet file with the types of the first rows written to it; codes are plain text to every reader.

    Args:
        path: Where to write.
        codes: Columns worth a dictionary; they may come as one.
    """

    def __init__(self, path: Path, codes: Sequence[str]) -> None:
        self._path, self._codes = path, list(codes)
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._path,
                rows.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=self._codes,
                # Arrow's own schema would turn the codes back into dictionaries.
                store_schema=False,
            )
        self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class RowGroups:
    """Rows on their way into files, a row group at a time; a context manager that closes the file in any case.

    Args:
        open_file: Opens the file of that number, from 0.
        file_rows: Rows after which a file is finished; a multiple of `ROW_GROUP_ROWS`, None for a single file.
    """

    def __init__(self, open_file: Callable[[int], RowFile], file_rows: int | None = None) -> None:
        self._open, self._limit = open_file, file_rows
        self._file: RowFile | None = None
        self._file_rows = self._waiting_rows = 0
        self._waiting: list[pa.RecordBatch] = []
        self.files = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def abandon(self) -> None:
        """Close the file whatever is in it."""
        # After a failure the file is thrown away; another complaint about it would hide the first.
        with suppress(OSError, pa.ArrowException):
            self._finish()

    def add(self, batch: pa.RecordBatch) -> None:
        """Append rows.

        Raises:
            OSError: The directory cannot be written, or the disk is full.
        """
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self.rows += batch.num_rows
        if self._waiting_rows < ROW_GROUP_ROWS:
            return
        rows = pa.Table.from_batches(self._waiting)
        whole = self._waiting_rows // ROW_GROUP_ROWS * ROW_GROUP_ROWS
        for first in range(0, whole, ROW_GROUP_ROWS):
            self._write(rows.slice(first, ROW_GROUP_ROWS))
        self._waiting = rows.slice(whole).to_batches()
        self._waiting_rows -= whole

    def close(self) -> None:
        """Write what waits and finish the file; without any row there is one only when batches were added.

        Raises:
            OSError: See `add`.
        """
        if self._waiting_rows or (self._waiting and not self.rows):
            self._write(pa.Table.from_batches(self._waiting))
        self._waiting, self._waiting_rows = [], 0
        self._finish()

    def _write(self, rows: pa.Table) -> None:
        if self._file is None:
            self._file = self._open(self.files)
            self.files += 1
        self._file.write(rows)
        self._file_rows += rows.num_rows
        if self._limit is not None and self._file_rows >= self._limit:
            self._finish()

    def _finish(self) -> None:
        file, self._file, self._file_rows = self._file, None, 0
        if file is not None:
            file.close()
