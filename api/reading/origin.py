"""Where a row came from, as its ingest columns say: over HTTP with a key, or from a line of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lake.rest_rows import BATCH, SOURCE


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row came from.

    Args:
        kind: rest or file.
        key: Id of the API key (rest).
        version: Version the row was committed in (rest); None for a row that was refused.
        file: File relative to the inbox (file).
        line: Line in it, from 1; 0 for the whole file (file).
    """

    kind: str
    key: str | None = None
    version: int | None = None
    file: str | None = None
    line: int | None = None


def origin_of(row: Mapping[str, Any]) -> Origin:
    """Origin of a row of bronze, silver or quarantine."""
    source = SOURCE.fullmatch(row["_source"])
    if source is not None:
        return Origin("rest", key=source[1], version=rest_version(row))
    return Origin("file", file=row["_source"], line=row["_line"])


def rest_version(row: Mapping[str, Any]) -> int | None:
    """Version of bronze a row was committed in over HTTP; None for other rows."""
    batch = BATCH.fullmatch(row["_batch_id"])
    return int(batch[1]) if batch else None
