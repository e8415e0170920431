"""The rows of one source file, good and refused, until it is known that the whole file counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.candidate import Run
from lake.table import COUNT, TEXT, TIMESTAMP, Table
from lake.tables import quarantine_of
from tasks.landing.chunk import LINE, Chunk, RefusedLine
from tasks.landing.staged_rows import StagedRows
from tasks.landing.strict_types import ROW, RULES, StrictTypes


def quarantine_id(table: Table, batch_id: str, line: int) -> str:
    """Identifier of a refused row: the same table, batch and line, the same id."""
    return hashlib.sha256(f"{table.full_name}|{batch_id}|{line}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from: file relative to the inbox, and its batch."""

    source: str
    batch_id: str


class Part:
    """Rows of one origin, counted.

    Args:
        table: Bronze table.
        origin: Where they come from.
        run: The run that lands them.
        directory: Where they are staged once they outgrow memory.
    """

    def __init__(self, table: Table, origin: Origin, run: Run, directory: Path) -> None:
        self._table, self._origin, self._run = table, origin, run
        self.directory = directory
        self.landed = StagedRows(directory, "landed", table.schema)
        self.refused = StagedRows(directory, "refused", quarantine_of(table).schema)
        self.written: tuple[Path, ...] = ()
        self.written_rows = 0
        self.received = 0

    def add(self, chunk: Chunk, types: StrictTypes) -> None:
        """Convert a chunk; good rows land, the others are refused with every rule they broke.

        Raises:
            StorageError: The disk is full or staging cannot be written.
        """
        self.received += chunk.received
        self.refuse(chunk.refused)
        if not chunk.rows.num_rows:
            return
        typed = types.convert(chunk.rows)
        good = typed
        if typed[RULES].null_count < typed.num_rows:
            is_good = pc.is_null(typed[RULES])
            good = typed.filter(is_good)
            self.refuse(_refused_rows(chunk, typed.filter(pc.invert(is_good))))
        self.landed.add(bronze_rows(self._table, good, self._run.at, self._origin.source, self._origin.batch_id))

    def add_written(self, files: tuple[Path, ...], rows: int) -> None:
        """Count bronze rows that are staged already."""
        self.written, self.written_rows = files, rows
        self.received += rows

    def refuse(self, lines: Sequence[RefusedLine]) -> None:
        """Send rows to quarantine; they are not counted as received here.

        Raises:
            StorageError: See `add`.
        """
        if lines:
            self.refused.add(quarantine_rows(self._table, self._origin, lines, self._run))

    def discard(self) -> None:
        """Take everything back."""
        self.landed.discard()
        self.refused.discard()
        for file in self.written:
            file.unlink(missing_ok=True)
        self.written, self.written_rows, self.received = (), 0, 0


def bronze_rows(
    table: Table, typed: pa.Table, at: datetime, source: str | pa.ChunkedArray, batch: str | pa.ChunkedArray
) -> pa.Table:
    """Converted rows with the ingest columns, in the declared order and types."""
    rows = typed.num_rows
    ingest = {
        "_ingested_at": pa.repeat(pa.scalar(at, TIMESTAMP), rows),
        "_source": pa.repeat(pa.scalar(source, TEXT), rows) if isinstance(source, str) else source,
        "_batch_id": pa.repeat(pa.scalar(batch, TEXT), rows) if isinstance(batch, str) else batch,
    }
    columns = [ingest.get(c.name, typed[c.name] if c.name in typed.column_names else None) for c in table.columns]
    return pa.Table.from_arrays(columns, names=list(table.column_names)).cast(table.schema)


def quarantine_rows(table: Table, origin: Origin, lines: Sequence[RefusedLine], run: Run) -> pa.Table:
    """Refused lines with the columns of the table's quarantine."""
    rows = len(lines)
    columns: dict[str, Any] = {
        "quarantine_id": [quarantine_id(table, origin.batch_id, line.line) for line in lines],
        "table_name": [table.full_name] * rows,
        "rules": [list(line.rules) for line in lines],
        "payload": [line.payload for line in lines],
        "_source": [origin.source] * rows,
        "_batch_id": [origin.batch_id] * rows,
        LINE: pa.array([line.line for line in lines], COUNT),
        "run_id": [run.run_id] * rows,
        "quarantined_at": [run.at] * rows,
    }
    return pa.table(columns, schema=quarantine_of(table).schema)


def _refused_rows(chunk: Chunk, bad: pa.Table) -> list[RefusedLine]:
    positions: list[int] = bad[ROW].to_pylist()
    rules = bad[RULES].to_pylist()
    received = chunk.rows.take(positions).to_pylist()
    payloads = [
        chunk.payloads[position].rstrip("\r\n") if chunk.payloads is not None else _as_json(row)
        for position, row in zip(positions, received, strict=True)
    ]
    return [
        RefusedLine(row[LINE], tuple(broken), payload)
        for row, broken, payload in zip(received, rules, payloads, strict=True)
    ]


def _as_json(row: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in row.items() if not name.startswith("_")}, ensure_ascii=False)
