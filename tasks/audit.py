"""The platform's memory: what was checked and where rows went, appended to audit tables once per run and layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from lake.candidate import Candidate
from lake.checks import GateResult
from lake.gated import EXEMPT, GateRecord
from lake.publish import commit, has_landed
from lake.table import Layer, Table
from lake.tables.platform import CHECK_HISTORY, ROW_BALANCE
from tasks.workspace import Workspace


def record_layer(
    workspace: Workspace,
    layer: Layer | str,
    candidates: Mapping[str, Candidate],
    gates: Mapping[str, GateResult],
) -> None:
    """Append check outcomes and row balances of a layer, or of another step of that name, open gate or shut."""
    run = workspace.run
    checks = [
        {
            "run_id": run.run_id,
            "checked_at": run.at,
            "table_name": gate.table,
            "contract_hash": gate.contract_hash,
            "check_name": check.name,
            "check_type": check.type,
            "column_name": check.column,
            "outcome": check.outcome.value,
            "measured": check.measured,
            "threshold": check.threshold,
            "rows_tested": gate.rows_tested,
            "samples": orjson.dumps(check.samples).decode() if check.samples else None,
        }
        for gate in gates.values()
        for check in gate.checks
    ]
    balances = [
        {
            "run_id": run.run_id,
            "balanced_at": run.at,
            "table_name": name,
            "received": candidate.balance.received,
            "published": candidate.balance.published,
            "duplicates": candidate.balance.duplicates,
            "quarantined": candidate.balance.quarantined,
        }
        for name, candidate in candidates.items()
    ]
    append_audit(workspace, CHECK_HISTORY, checks, f"{run.run_id}/{layer}")
    append_audit(workspace, ROW_BALANCE, balances, f"{run.run_id}/{layer}")


def append_audit(workspace: Workspace, table: Table, rows: Sequence[dict[str, Any]], batch: str) -> None:
    """Append rows to an audit table; a batch already there is not appended again."""
    if not rows or has_landed(workspace.lake, table, batch):
        return
    staged = workspace.staging / f"{table.name}-{batch.replace('/', '-')}.parquet"
    staged.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=table.schema), staged)
    record = GateRecord(workspace.run.run_id, EXEMPT, batches=(batch,))
    commit(workspace.lake, table, (staged,), "append", record)
