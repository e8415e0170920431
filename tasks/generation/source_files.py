"""Files of generated rows: Parquet, CSV or JSON lines, whose bytes depend on the rows alone.

Row groups and files end after fixed numbers of rows, whatever batches the rows come in. A file appears under its name
only when all of them are whole.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.csv

from lake.table import COUNT, TEXT, Table
from tasks.generation.columns import code_columns, plain
from tasks.generation.row_groups import ROW_GROUP_ROWS, ParquetFile, RowFile, RowGroups

# Part of the format.
FILE_ROWS = 32 * ROW_GROUP_ROWS
# Half-written files bear the dot that landing passes over; rows delivered late sort behind the others.
_UNFINISHED = "."
_STEMS = {False: "generated", True: "generated-late"}


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


_OPEN: dict[str, Callable[[Path, Table], RowFile]] = {
    "parquet": lambda path, table: ParquetFile(path, code_columns(table)),
    "csv": _Csv,
    "jsonl": _JsonLines,
}
FORMATS = tuple(_OPEN)


class _Sequence:
    """The files of one table and one time of delivery."""

    def __init__(self, table: Table, folder: Path, stem: str, file_format: str) -> None:
        self._table, self._folder, self._stem, self._format = table, folder, stem, file_format
        self.rows = RowGroups(self._open, FILE_ROWS)
        self.names: list[str] = []

    def _open(self, number: int) -> RowFile:
        name = f"{self._stem}-{number:05d}.{self._format}"
        self.names.append(name)
        return _OPEN[self._format](self._folder / f"{_UNFINISHED}{name}", self._table)

    def take_back(self) -> None:
        self.rows.abandon()
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
        sequence.rows.add(rows)

    def finish(self) -> dict[str, int]:
        """Give every file its name.

        Returns:
            Size in bytes by name relative to the inbox.

        Raises:
            OSError: See `add`.
        """
        for sequence in self._sequences.values():
            sequence.rows.close()
        sizes = {}
        for (table, _), sequence in self._sequences.items():
            for name in sequence.names:
                path = self._inbox / table / name
                path.with_name(f"{_UNFINISHED}{name}").replace(path)
                sizes[f"{table}/{name}"] = path.stat().st_size
        return dict(sorted(sizes.items()))
