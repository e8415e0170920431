"""Delta file statistics from a Parquet footer, for readers that skip files by them.

Format: Delta transaction protocol, "Per-file Statistics".
"""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

# Longer text would bloat the log; the protocol lets a writer leave bounds out.
_MAX_TEXT = 32


def file_statistics(file: Path) -> str:
    """JSON with numRecords, and minValues, maxValues and nullCount of the columns whose footer has them."""
    return footer_statistics(pq.read_metadata(file))


def footer_statistics(metadata: pq.FileMetaData) -> str:
    """The same from a footer at hand."""
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for index in range(metadata.num_columns):
        chunks = [metadata.row_group(group).column(index) for group in range(metadata.num_row_groups)]
        name = chunks[0].path_in_schema if chunks else ""
        statistics = [chunk.statistics for chunk in chunks]
        if not chunks or "." in name or any(s is None or not s.has_null_count for s in statistics):
            continue
        nulls[name] = sum(s.null_count for s in statistics)
        bounds = [s for s in statistics if s.has_min_max]
        if len(bounds) == len(statistics):
            smallest, largest = min(s.min for s in bounds), max(s.max for s in bounds)
            if _storable(smallest) and _storable(largest):
                low[name], high[name] = _stored(smallest), _stored(largest)
    return json.dumps(
        {"numRecords": metadata.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls}, ensure_ascii=False
    )


def _storable(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_TEXT
    return isinstance(value, int | date) and not isinstance(value, bool)


def _stored(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value
