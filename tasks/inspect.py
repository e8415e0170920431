"""Looking at a lake without changing it: tables, rows, history, and contracts run on what is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import pyarrow as pa

from lake.checks import GateResult
from lake.errors import BadInputError
from lake.gated import Commit, commits, last_gated
from lake.lake import Lake
from lake.table import Table
from lake.tables import BRONZE, BY_NAME, GOLD, SILVER
from tasks.gate import check_candidate
from tasks.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TableSummary:
    """One line of `lakehouse tables`; size in bytes, `outcome` of the gate that let the version in.

    `sources` are the versions, by table, that `run_id` computed it from, under the contract of `contract_hash`.
    """

    table: str
    layer: str
    rows: int
    version: int
    size_bytes: int
    changed_at: datetime
    outcome: str
    run_id: str
    contract_hash: str | None
    sources: dict[str, int]


def table_summaries(lake: Lake) -> list[TableSummary]:
    """Every table with a readable version."""
    lake.check_format()
    found = ((table, last_gated(lake, table)) for table in BY_NAME.values())
    return [
        TableSummary(
            table=t.full_name,
            layer=t.layer.value,
            rows=gated.rows,
            version=gated.version,
            size_bytes=gated.size_bytes,
            changed_at=gated.at,
            outcome=gated.record.outcome,
            run_id=gated.record.run_id,
            contract_hash=gated.record.contract_hash,
            sources=gated.record.sources,
        )
        for t, gated in found
        if gated is not None
    ]


def history(lake: Lake, table: Table, limit: int | None = None) -> list[Commit]:
    """Versions of a table, newest first, with what let each in; all that the log holds when `limit` is None."""
    return list(islice(commits(lake, table), limit))


def head(workspace: Workspace, table: Table, limit: int, where: str | None = None) -> pa.Table:
    """Some rows of a table's readable version, in key order.

    Args:
        workspace: Where to read.
        table: What to read.
        limit: Most rows to return.
        where: A DuckDB condition, such as ``country = 'DE'``.

    Raises:
        BadInputError: The table was never published.
        ModelError: The condition is wrong.
    """
    gated = last_gated(workspace.lake, table)
    if gated is None:
        raise BadInputError(f"{table.full_name} was never published", mend="build it with: ./lakehouse run")
    with workspace.engine() as engine:
        engine.register(table, gated.files)
        condition = f"WHERE {where}" if where else ""
        keys = ", ".join(f'"{key}"' for key in table.key)
        return engine.query(f"SELECT * FROM {table.full_name} {condition} ORDER BY {keys} LIMIT {limit:d}")


def check_published(workspace: Workspace, tables: Sequence[Table]) -> list[GateResult]:
    """Run contracts on readable versions, references included; changes nothing.

    Raises:
        ContractError: A contract is not sound.
    """
    published = {t: last_gated(workspace.lake, t) for t in (*BRONZE, *SILVER, *GOLD)}
    results = []
    with workspace.engine() as engine:
        for table, gated in published.items():
            engine.register(table, gated.files if gated else ())
        for table in tables:
            gated = published[table]
            if gated is not None:
                rows = engine.count(gated.files)
                results.append(
                    check_candidate(
                        engine, table, rows, workspace.run, sample_rows=workspace.settings.gates.sample_rows
                    )
                )
    return results
