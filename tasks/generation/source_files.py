"""Files of generated rows: Parquet, CSV or JSON lines, whose bytes depend on the rows alone.

Row groups and files end after fixed numbers of rows, whatever batches the rows come in. A file appears under its name
only when all of them are whole.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from lake.table import COUNT, TEXT, Table
from tasks.generation.columns import code_columns, plain

# Part of the format: DuckDB's own row group, and 32 of them a file.
ROW_GROUP_ROWS = 122_880
FILE_ROWS = 32 * ROW_GROUP_ROWS
# Half-written files bear the dot that landing passes over; rows delivered late sort behind the others.
_UNFINISHED = "."
_STEMS = {False: "generated", True: "generated-late"}


class _RowWriter(Protocol):
    def write(self, rows: pa.Table) -> None: ...

    def close(self) -> None: ...


class _Parquet:
    def __init__(self, path: Path, table: Table) -> None:
        self._path, self._table = path, table
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._path,
                rows.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=code_columns(self._table),
                # Without Arrow's own schema, codes are plain text to every reader.
                store_schema=False,
            )
        self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _Csv:
    def __init__(self, path: Path, table: Table) -> None:
        schema = pa.schema([pa.field(c.name, c.type) for c in table.payload])
        self._table, self._writer = table, pyarrow.csv.CSVWriter(path, schema)

    def write(self, rows: pa.Table) -> None:
        self._writer.write(plain(self._table, rows))

    def close(self) -> None:
        self._writer.close()


class _JsonLines:
    def __init__(self, path: Path, table: Table) -> None:
        self._table, self._file = table, path.open("wb")

    def write(self, rows: pa.Table) -> None:
        # A JSON number would pass through a float in most readers; money and moments go as text.
        fields = [pa.field(c.name, COUNT if c.type == COUNT else TEXT) for c in self._table.payload]
        texts = pl.DataFrame(plain(self._table, rows).cast(pa.schema(fields)))
        texts.write_ndjson(self._file)

    def close(self) -> None:
        self._file.close()


_WRITERS: dict[str, Callable[[Path, Table], _RowWriter]] = {"parquet": _Parquet, "csv": _Csv, "jsonl": _JsonLines}
FORMATS = tuple(_WRITERS)


class _Sequence:
    """The files of one table and one time of delivery."""

    def __init__(self, table: Table, folder: Path, stem: str, file_format: str) -> None:
        self._table, self._folder, self._stem, self._format = table, folder, stem, file_format
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._file_rows = 0
        self._writer: _RowWriter | None = None
        self.names: list[str] = []

    def add(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        if self._waiting_rows < ROW_GROUP_ROWS:
            return
        rows = pa.Table.from_batches(self._waiting)
        whole = self._waiting_rows // ROW_GROUP_ROWS * ROW_GROUP_ROWS
        for first in range(0, whole, ROW_GROUP_ROWS):
            self._write(rows.slice(first, ROW_GROUP_ROWS))
        self._waiting = rows.slice(whole).to_batches()
        self._waiting_rows -= whole

    def close(self) -> None:
        if self._waiting_rows:
            self._write(pa.Table.from_batches(self._waiting))
        self._waiting, self._waiting_rows = [], 0
        self._end_file()

    def _write(self, rows: pa.Table) -> None:
        if self._writer is None:
            name = f"{self._stem}-{len(self.names):05d}.{self._format}"
            self.names.append(name)
            self._writer = _WRITERS[self._format](self._folder / f"{_UNFINISHED}{name}", self._table)
        self._writer.write(rows)
        self._file_rows += rows.num_rows
        if self._file_rows >= FILE_ROWS:
            self._end_file()

    def _end_file(self) -> None:
        writer, self._writer, self._file_rows = self._writer, None, 0
        if writer is not None:
            writer.close()

    def take_back(self) -> None:
        with suppress(OSError, pa.ArrowException):
            self._end_file()
        for name in self.names:
            (self._folder / f"{_UNFINISHED}{name}").unlink(missing_ok=True)


class SourceFiles:
    """Files that are being written; a context manager that takes them back unless `finish` was called.

    Args:
        inbox: Directory with a folder per table.
        file_format: One of `FORMATS`.
    """

    def __init__(self, inbox: Path, file_format: str) -> None:
        self._inbox, self._format = inbox, file_format
        self._sequences: dict[tuple[str, bool], _Sequence] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sequence in self._sequences.values():
            sequence.take_back()

    def add(self, table: Table, rows: pa.RecordBatch, *, late: bool) -> None:
        """Append rows of a table.

        Raises:
            OSError: The directory cannot be written, or the disk is full.
        """
        if not rows.num_rows:
            return
        sequence = self._sequences.get((table.name, late))
        if sequence is None:
            folder = self._inbox / table.name
            folder.mkdir(parents=True, exist_ok=True)
            sequence = _Sequence(table, folder, _STEMS[late], self._format)
            self._sequences[table.name, late] = sequence
        sequence.add(rows)

    def finish(self) -> dict[str, int]:
        """Give every file its name.

        Returns:
            Size in bytes by name relative to the inbox.

        Raises:
            OSError: See `add`.
        """
        for sequence in self._sequences.values():
            sequence.close()
        sizes = {}
        for (table, _), sequence in self._sequences.items():
            for name in sequence.names:
                path = self._inbox / table / name
                path.with_name(f"{_UNFINISHED}{name}").replace(path)
                sizes[f"{table}/{name}"] = path.stat().st_size
        return dict(sorted(sizes.items()))
