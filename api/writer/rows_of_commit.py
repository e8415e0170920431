"""The rows of one commit as they lie in bronze and in quarantine: payload, and where each came from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lake.rest_rows import batch_id
from lake.table import TEXT, TIMESTAMP
from lake.tables import BRONZE_TRANSACTIONS, quarantine_of

QUARANTINE = quarantine_of(BRONZE_TRANSACTIONS)


def bronze_rows(
    parts: Sequence[tuple[pa.Table, Sequence[str] | str]], version: int, writer_id: str, moment_us: int
) -> pa.Table:
    """Typed rows with their ingest columns.

    Args:
        parts: Payload rows, and `_source` of each or of all.
        version: They are committed as.
        writer_id: Who commits them.
        moment_us: When, microseconds since 1970 UTC.
    """
    payload = pa.concat_tables([rows for rows, _ in parts])
    count = payload.num_rows
    sources = pa.chunked_array(
        [
            pa.repeat(pa.scalar(given, TEXT), rows.num_rows) if isinstance(given, str) else pa.array(given, TEXT)
            for rows, given in parts
        ],
        TEXT,
    )
    ingest = {
        "_ingested_at": pa.repeat(pa.scalar(moment_us, TIMESTAMP), count),
        "_source": sources,
        "_batch_id": pa.repeat(pa.scalar(batch_id(version, writer_id), TEXT), count),
        "_line": pa.array(np.arange(1, count + 1)),
    }
    return pa.Table.from_arrays([*payload.columns, *ingest.values()], schema=BRONZE_TRANSACTIONS.schema)


@dataclass(frozen=True, slots=True)
class RefusedRows:
    """Rows of one request for quarantine.

    Args:
        digest: SHA-256 of the request's body.
        source: See `lake.rest_rows.quarantine_source`.
        rows: Position in the request, broken rules and the row as received, of each.
    """

    digest: str
    source: str
    rows: Sequence[tuple[int, tuple[str, ...], str]]


def quarantine_rows(refused: Sequence[RefusedRows], writer_id: str, moment_us: int) -> pa.Table:
    """Refused rows with the quarantine schema; `_line` counts a request's rows from 1."""
    name = BRONZE_TRANSACTIONS.full_name
    rows = [
        {
            "quarantine_id": hashlib.sha256(f"{name}|{request.digest}|{index + 1}".encode()).hexdigest(),
            "table_name": name,
            "rules": list(rules),
            "payload": payload,
            "_source": request.source,
            "_batch_id": request.digest,
            "_line": index + 1,
            "run_id": writer_id,
        }
        for request in refused
        for index, rules, payload in request.rows
    ]
    schema = QUARANTINE.schema
    table = pa.Table.from_pylist(rows, schema.remove(schema.get_field_index("quarantined_at")))
    return table.append_column(
        schema.field("quarantined_at"), pa.repeat(pa.scalar(moment_us, TIMESTAMP), table.num_rows)
    ).select(schema.names)
