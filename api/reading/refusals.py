"""The times a transaction was refused: its rows in quarantine, found in payloads of any form."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.compute as pc
import pyarrow.dataset as ds

from api.reading.origin import Origin, origin_of
from lake.gated import last_gated
from lake.lake import Lake
from lake.table import Table
from lake.tables import quarantine_of
from lake.tables.platform import QUARANTINE_DECISIONS

MAX_REFUSALS = 20
_COLUMNS = ("quarantine_id", "rules", "payload", "_source", "_batch_id", "_line", "quarantined_at")
_BATCH_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row in quarantine.

    Args:
        quarantine_id: Its id there.
        table: Table that refused it.
        rules: Every rule it broke.
        status: open, replayed or discarded.
        origin: Where it came from.
        quarantined_at: When the run that refused it began, UTC.
    """

    quarantine_id: str
    table: str
    rules: list[str]
    status: str
    origin: Origin
    quarantined_at: datetime


def refusals_of(lake: Lake, refuser: Table, key: str) -> list[Refusal]:
    """Rows with a key that a table refused, oldest first; at most MAX_REFUSALS.

    Takes memory for a batch of rows, however many mention the key.

    Raises:
        LakehouseError: The quarantine cannot be read.
    """
    gated = last_gated(lake, quarantine_of(refuser))
    if gated is None or not gated.files:
        return []
    rows = list(_rows_of(gated.files, refuser.key[0], key))
    rows.sort(key=lambda row: (row["quarantined_at"], row["quarantine_id"]))
    decided = _decisions(lake, [row["quarantine_id"] for row in rows]) if rows else {}
    return [
        Refusal(
            quarantine_id=row["quarantine_id"],
            table=refuser.full_name,
            rules=row["rules"],
            status=decided.get(row["quarantine_id"], "open"),
            origin=origin_of(row),
            quarantined_at=row["quarantined_at"],
        )
        for row in rows
    ]


def _rows_of(files: Sequence[Path], column: str, key: str) -> Iterator[dict[str, Any]]:
    found = 0
    spellings = _spellings(key)
    for batch in ds.dataset([str(file) for file in files]).to_batches(columns=[*_COLUMNS], batch_size=_BATCH_ROWS):
        mentions = [pc.match_substring(batch["payload"], text) for text in spellings]
        for row in batch.filter(reduce(pc.or_, mentions)).to_pylist():
            if _is_row_of(row["payload"], column, key):
                yield row
                found += 1
                if found == MAX_REFUSALS:
                    return


def _spellings(value: str) -> list[str]:
    """How a text may be written in a payload: as it is, in JSON, in a quoted field of CSV."""
    in_json = (json.dumps(value, ensure_ascii=escaped)[1:-1] for escaped in (True, False))
    return list(dict.fromkeys((value, *in_json, value.replace('"', '""'))))


def _is_row_of(payload: str, column: str, key: str) -> bool:
    """Whether a payload is of the row with that key: its JSON says so, or a field of its CSV line is the key."""
    try:
        row = json.loads(payload)
    except RecursionError:
        return False
    except ValueError:
        return _has_field(payload, key)
    return isinstance(row, dict) and row.get(column) == key


def _has_field(line: str, key: str) -> bool:
    try:
        return any(key in fields for fields in csv.reader(line.splitlines()))
    except csv.Error:
        # A field longer than the reader takes: no row a person could have meant.
        return False


def _decisions(lake: Lake, ids: Sequence[str]) -> dict[str, str]:
    gated = last_gated(lake, QUARANTINE_DECISIONS)
    if gated is None or not gated.files:
        return {}
    rows = pl.scan_parquet([*gated.files]).filter(pl.col("quarantine_id").is_in(ids)).collect()
    return dict(zip(rows["quarantine_id"], rows["decision"], strict=True))
