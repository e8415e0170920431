"""Quarantined rows land again, as they are or corrected.

A payload that is a JSON object (rows of JSON lines, of Parquet, of CSV with the right number of fields, and
rows refused by silver) is read again column by column. Any other payload is a line whose fields cannot be
told apart; it lands only when the corrections name every column. A file refused whole never lands this way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.candidate import Balance, Candidate, Run
from lake.errors import BadInputError
from lake.settings import LandSettings
from lake.table import TEXT, Table
from sql.engines.duckdb import DuckDBEngine
from tasks.landing.jsonl_rows import JsonRows
from tasks.landing.landing import staged_in
from tasks.landing.part import bronze_rows
from tasks.landing.staged_rows import StagedRows
from tasks.landing.strict_types import ROW, RULES, StrictTypes

# Payloads run to megabytes each; this many at a time stay within memory.
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row in quarantine, by its columns there."""

    quarantine_id: str
    payload: str
    source: str
    batch_id: str
    line: int


def reland(  # noqa: PLR0917 - the caller reads like the sentence: rows of a table, corrected, staged by a run
    engine: DuckDBEngine,
    table: Table,
    rows: Sequence[QuarantinedRow],
    corrections: Mapping[str, str],
    staging: Path,
    run: Run,
    settings: LandSettings,
) -> Candidate:
    """Stage quarantined rows as bronze rows of the file and line they came from.

    A landed row's `_batch_id` is its quarantine id. Rows that fail again are counted as quarantined but
    written nowhere: they stay open where they are.

    Args:
        engine: DuckDB with bounded memory.
        table: Bronze table.
        rows: Rows refused by it, or by the silver table of the same name.
        corrections: Column to new text, laid over every row; empty text is NULL.
        staging: Directory of this run's candidates.
        run: The run that replays.
        settings: `max_field_bytes` bounds a field.

    Returns:
        A candidate in mode "append" with one batch that stands for these rows and corrections.

    Raises:
        BadInputError: A correction names no column of the table.
        StorageError: The disk is full or staging cannot be written; nothing is left in staging.
    """
    names = [c.name for c in table.payload]
    unknown = sorted(set(corrections) - set(names))
    if unknown:
        raise BadInputError(f"{table.full_name} has no column {', '.join(unknown)}", mend=f"it has {', '.join(names)}")
    distinct = list({row.quarantine_id: row for row in rows}.values())
    batch = replay_batch([row.quarantine_id for row in distinct], corrections)
    with staged_in(staging, table, (batch,)) as directory:
        landed = StagedRows(directory, "landed", table.schema)
        with StrictTypes(engine, table, settings.max_field_bytes) as types:
            for start in range(0, len(distinct), _ROWS_AT_ONCE):
                landed.add(_converted(table, distinct[start : start + _ROWS_AT_ONCE], corrections, types, run))
        files = landed.close()
    balance = Balance(len(distinct), landed.rows, 0, len(distinct) - landed.rows)
    return Candidate(table.full_name, files, balance, (), "append", (batch,))


def replay_batch(quarantine_ids: Sequence[str], corrections: Mapping[str, str]) -> str:
    """SHA-256 that stands for replaying these rows with these corrections, whatever their order."""
    identity = json.dumps([sorted(quarantine_ids), sorted(corrections.items())], ensure_ascii=True)
    return hashlib.sha256(identity.encode()).hexdigest()


def _converted(
    table: Table, rows: Sequence[QuarantinedRow], corrections: Mapping[str, str], types: StrictTypes, run: Run
) -> pa.Table:
    reader = JsonRows(table)
    whole_file = 0
    values: list[Sequence[Any]] = []
    broken: list[list[str] | None] = []
    origins: list[QuarantinedRow] = []
    for row in rows:
        if row.line != whole_file:
            fields, rules = reader.row(*_corrected(reader, row.payload, corrections))
            values.append(fields)
            broken.append(rules)
            origins.append(row)
    if not origins:
        return table.schema.empty_table()
    typed = types.convert(reader.chunk_rows(values, [row.line for row in origins], broken))
    good = typed.filter(typed[RULES].is_null())
    kept = [origins[position] for position in good[ROW].to_pylist()]
    sources = pa.chunked_array([pa.array([row.source for row in kept], TEXT)])
    batches = pa.chunked_array([pa.array([row.quarantine_id for row in kept], TEXT)])
    return bronze_rows(table, good, run.at, sources, batches)


def _corrected(
    reader: JsonRows, payload: str, corrections: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    keys, values = reader.keys_and_values(payload) or ((), ())
    laid_over = {name: text or None for name, text in corrections.items()}
    kept = [(key, value) for key, value in zip(keys, values, strict=True) if key not in laid_over]
    pairs = [*kept, *laid_over.items()]
    return tuple(key for key, _ in pairs), tuple(value for _, value in pairs)
