"""Transactions as CSV, as landing takes them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa

# ISO 8601 with its zone; landing refuses a moment without one.
_MOMENT = "%Y-%m-%dT%H:%M:%S%.6fZ"


class CsvFile:
    """A CSV file with a header, written by Polars, which uses every core.

    Args:
        path: Where to write.

    Raises:
        OSError: The directory cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._has_header = False

    def write(self, rows: pa.Table) -> None:
        frame = pl.DataFrame(rows)
        frame.write_csv(self._file, include_header=not self._has_header, datetime_format=_MOMENT)
        self._has_header = True

    def close(self) -> None:
        self._file.close()
