"""Where one transaction is: in bronze and since which version, let in by a gate or not, in silver, in quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from api.problems import not_found
from api.reading.origin import Origin, origin_of, rest_version
from api.reading.refusals import Refusal, refusals_of
from lake.gated import last_gated
from lake.lake import Lake, readable
from lake.table import RECEIVED_ORDER, Table
from lake.tables import BRONZE_TRANSACTIONS, SILVER_TRANSACTIONS

# Nobody sends one row more often in earnest; more would make the answer long.
MAX_ROWS = 20


class State(StrEnum):
    """How far a transaction has come, the furthest that is true."""

    IN_SILVER = "in_silver"
    ADMITTED = "admitted"
    PENDING = "pending"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class BronzeRow:
    """The transaction as received once."""

    admitted: bool
    received_at: datetime
    origin: Origin
    batch: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bronze:
    """What bronze holds of it: newest and last gated version, and its rows in the order received."""

    newest_version: int
    gated_version: int | None
    rows: list[BronzeRow]


@dataclass(frozen=True, slots=True)
class Silver:
    """Whether silver's last gated version holds it, and which of bronze's rows is kept."""

    version: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything known of one transaction."""

    transaction_id: str
    state: State
    bronze: Bronze | None
    silver: Silver | None
    quarantine: list[Refusal]


def prove(lake: Lake, transaction_id: str) -> Proof:
    """Look a transaction up in the newest version of bronze, in silver and in both quarantines.

    Raises:
        Problem: 404 when it is nowhere.
        LakehouseError: A table cannot be read.
    """
    bronze = _in_bronze(lake, transaction_id)
    silver = _in_silver(lake, transaction_id)
    refused = [
        row for table in (BRONZE_TRANSACTIONS, SILVER_TRANSACTIONS) for row in refusals_of(lake, table, transaction_id)
    ]
    if silver is not None:
        state = State.IN_SILVER
    elif bronze is not None and bronze.rows:
        state = State.ADMITTED if any(row.admitted for row in bronze.rows) else State.PENDING
    elif refused:
        state = State.QUARANTINED
    else:
        raise not_found("The transaction is neither in bronze nor in quarantine.")
    return Proof(transaction_id, state, bronze, silver, refused)


def _in_bronze(lake: Lake, transaction_id: str) -> Bronze | None:
    table = BRONZE_TRANSACTIONS
    newest = lake.open(table)
    if newest is None:
        return None
    gated = last_gated(lake, table)
    found = _rows_with(newest, table, transaction_id)
    admitted = None
    if gated is not None and gated.version != newest.version() and any(rest_version(row) is None for row in found):
        # A file's row does not say its version; whether the gated version holds it does.
        admitted = {(r["_batch_id"], r["_line"]) for r in _rows_with(gated.delta, table, transaction_id)}
    version = None if gated is None else gated.version
    names = [column.name for column in table.payload]
    rows = [
        BronzeRow(
            admitted=_is_admitted(row, version, admitted),
            received_at=row["_ingested_at"],
            origin=origin_of(row),
            batch=row["_batch_id"],
            values={name: row[name] for name in names},
        )
        for row in found
    ]
    return Bronze(newest.version(), version, rows)


def _is_admitted(row: dict[str, Any], gated: int | None, admitted: set[tuple[str, int]] | None) -> bool:
    if gated is None:
        return False
    version = rest_version(row)
    if version is not None:
        return version <= gated
    return admitted is None or (row["_batch_id"], row["_line"]) in admitted


def _in_silver(lake: Lake, transaction_id: str) -> Silver | None:
    gated = last_gated(lake, SILVER_TRANSACTIONS)
    if gated is None:
        return None
    rows = _rows_with(gated.delta, SILVER_TRANSACTIONS, transaction_id)
    return Silver(gated.version, origin_of(rows[0])) if rows else None


def _rows_with(delta: DeltaTable, table: Table, transaction_id: str) -> list[dict[str, Any]]:
    """A version's rows with an id, in the order received."""
    key = table.key[0]
    with readable(Path(delta.table_uri)):
        actions = pa.table(delta.get_add_actions(flatten=True))
    files = _files_that_may_hold(actions, key, transaction_id)
    if not files:
        return []
    root = Path(delta.table_uri.removeprefix("file://"))
    rows = pl.scan_parquet([root / name for name in files]).filter(pl.col(key) == transaction_id)
    first = rows.bottom_k(MAX_ROWS, by=RECEIVED_ORDER).collect(engine="streaming")
    return first.sort(RECEIVED_ORDER).to_dicts()


def _files_that_may_hold(actions: pa.Table, key: str, value: str) -> list[str]:
    """Files whose statistics do not rule a value out."""
    paths = actions["path"]
    lowest, highest = f"min.{key}", f"max.{key}"
    if {lowest, highest} <= set(actions.column_names):
        possible = pc.and_kleene(pc.less_equal(actions[lowest], value), pc.greater_equal(actions[highest], value))
        paths = paths.filter(pc.fill_null(possible, True))
    return sorted(paths.to_pylist())
