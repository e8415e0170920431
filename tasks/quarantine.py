"""Quarantined rows: list them, show one, replay after a fix, discard for good.

Replaying a bronze row, or any row with corrections, lands it again as a batch of its own; replaying silver rows
as they are rebuilds their table. Either way a repeat changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from lake.errors import BadInputError
from lake.gated import last_gated
from lake.lake import Lake
from lake.table import Layer, Table
from lake.tables import BRONZE, COMPANY_SILVER, SILVER, quarantine_of
from lake.tables import table as declared
from lake.tables.platform import QUARANTINE_DECISIONS
from tasks.admit import admit_layer
from tasks.audit import append_audit
from tasks.guest_engine import guest_engine
from tasks.landing import QuarantinedRow, reland
from tasks.layers import Built, build_layer, release_layer
from tasks.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did, in rows."""

    tried: int
    published: int
    still_quarantined: int


def quarantined(lake: Lake, table: Table | None = None, *, include_decided: bool = False) -> pl.DataFrame:
    """Quarantined rows of one table or all, oldest first, with their status.

    Returns:
        The quarantine columns and `status`: open, replayed or discarded.
    """
    frames = [_rows(lake, quarantine_of(t)) for t in ((table,) if table else (*BRONZE, *SILVER))]
    decisions = _rows(lake, QUARANTINE_DECISIONS).select("quarantine_id", pl.col("decision").alias("status"))
    rows = (
        pl.concat(frames)
        .join(decisions, on="quarantine_id", how="left")
        .with_columns(pl.col("status").fill_null("open"))
    )
    if not include_decided:
        rows = rows.filter(pl.col("status") == "open")
    return rows.sort("quarantined_at", "table_name", "_source", "_line", "quarantine_id")


def quarantined_row(lake: Lake, quarantine_id: str) -> dict[str, Any]:
    """One quarantined row by its id, or the beginning of it.

    Raises:
        BadInputError: No row, or more than one, has such an id.
    """
    found = quarantined(lake, include_decided=True).filter(pl.col("quarantine_id").str.starts_with(quarantine_id))
    if found.height != 1:
        raise BadInputError(
            f"{found.height or 'no'} quarantined rows have an id that begins with {quarantine_id!r}",
            mend="list them with: ./lakehouse quarantine list",
        )
    return found.row(0, named=True)


def replay(
    workspace: Workspace, table: Table, ids: Sequence[str] = (), corrections: Mapping[str, str] | None = None
) -> Replayed:
    """Try open quarantined rows of a table again.

    Args:
        workspace: Holds the writer lock.
        table: The table that refused the rows.
        ids: Rows by id; none means all open rows of the table.
        corrections: Column to new text, laid over every payload.

    Raises:
        BadInputError: An id is not open, or a correction names no column.
        GateError: The replayed rows break their contract.
    """
    rows = _chosen(workspace.lake, table, ids)
    _require_columns(table, corrections or {})
    if table.layer is Layer.SILVER and not corrections:
        with guest_engine(workspace) as guest:
            build_layer(workspace, COMPANY_SILVER if table in COMPANY_SILVER else (table,), guest)
        left = set(quarantined(workspace.lake, table)["quarantine_id"]) & {r["quarantine_id"] for r in rows}
        return Replayed(len(rows), len(rows) - len(left), len(left))
    bronze = declared(f"{Layer.BRONZE}.{table.name}")
    # A killed replay may have landed rows without noting it: the table itself tells.
    waiting = [row for row in rows if row["quarantine_id"] not in _relanded(workspace, bronze, rows)]
    if waiting:
        _land_again(workspace, bronze, waiting, corrections or {})
    landed = _relanded(workspace, bronze, rows)
    _decide(workspace, [row for row in rows if row["quarantine_id"] in landed], "replayed")
    return Replayed(len(rows), len(landed), len(rows) - len(landed))


def _land_again(
    workspace: Workspace, bronze: Table, rows: Sequence[dict[str, Any]], corrections: Mapping[str, str]
) -> None:
    quarantined_rows = [
        QuarantinedRow(r["quarantine_id"], r["payload"], r["_source"], r["_batch_id"], r["_line"]) for r in rows
    ]
    settings = workspace.settings.land
    with workspace.engine() as engine:
        candidate = reland(engine, bronze, quarantined_rows, corrections, workspace.staging, workspace.run, settings)
    if candidate.files:
        release_layer(workspace, Layer.BRONZE, [Built(bronze.full_name, candidate.files, "replay", candidate)])
        # Beside rows that came over HTTP the landed ones wait with them.
        admit_layer(workspace, (bronze,))


def _relanded(workspace: Workspace, bronze: Table, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Quarantined rows that are in bronze: a replayed row's batch is the quarantined row it came from."""
    gated = last_gated(workspace.lake, bronze)
    if gated is None or not gated.files:
        return set()
    ids = [row["quarantine_id"] for row in rows]
    batches = pl.scan_parquet(list(gated.files)).select("_batch_id").filter(pl.col("_batch_id").is_in(ids))
    return set(batches.collect()["_batch_id"])


def discard(workspace: Workspace, table: Table, ids: Sequence[str]) -> int:
    """Close open quarantined rows for good; they stay readable and counted.

    Returns:
        Rows discarded.

    Raises:
        BadInputError: An id is not open.
    """
    rows = _chosen(workspace.lake, table, ids)
    _decide(workspace, rows, "discarded")
    return len(rows)


def _decide(workspace: Workspace, rows: Sequence[dict[str, Any]], decision: str) -> None:
    run = workspace.run
    decisions = [
        {
            "quarantine_id": row["quarantine_id"],
            "table_name": row["table_name"],
            "decision": decision,
            "run_id": run.run_id,
            "decided_at": run.at,
        }
        for row in rows
    ]
    append_audit(workspace, QUARANTINE_DECISIONS, decisions, f"{run.run_id}/{decision}")


def _rows(lake: Lake, table: Table) -> pl.DataFrame:
    gated = last_gated(lake, table)
    empty = pl.DataFrame(pl.from_arrow(table.schema.empty_table()))
    return pl.concat([empty, *(pl.read_parquet(f) for f in gated.files)]) if gated else empty


def _chosen(lake: Lake, table: Table, ids: Sequence[str]) -> list[dict[str, Any]]:
    rows = quarantined(lake, table)
    if not ids:
        return rows.to_dicts()
    missing = [i for i in ids if rows.filter(pl.col("quarantine_id").str.starts_with(i)).height != 1]
    if missing:
        raise BadInputError(
            f"no single open row of {table.full_name} has an id that begins with {', '.join(missing)}",
            mend=f"list them with: ./lakehouse quarantine list {table.full_name}",
        )
    return rows.filter(pl.any_horizontal(pl.col("quarantine_id").str.starts_with(i) for i in ids)).to_dicts()


def _require_columns(table: Table, corrections: Mapping[str, str]) -> None:
    known = [c.name for c in table.payload]
    unknown = [name for name in corrections if name not in known]
    if unknown:
        raise BadInputError(f"{table.full_name} has no column {', '.join(unknown)}", mend=f"it has {', '.join(known)}")
