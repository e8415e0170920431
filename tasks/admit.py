"""Admission: rows that came over HTTP since a flow last looked pass their table's gate, and readers read them.

They lie in the table already, in versions that readers pass over; the contract runs on the very files they lie in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from lake.candidate import Balance, Candidate
from lake.checks import GateResult
from lake.errors import GateError, StorageError
from lake.gated import GateRecord, last_gated, standing
from lake.publish import Published, admit
from lake.rest_rows import REST
from lake.table import Layer, Table
from lake.tables import BRONZE_TRANSACTIONS
from tasks.audit import record_layer
from tasks.layers import LayerResult, check_table
from tasks.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows of a table that wait for its gate.

    Args:
        table: Declaration.
        version: Newest version that is looked at.
        candidate: The files they lie in. Its balance counts rows that came over HTTP.
    """

    table: Table
    version: int
    candidate: Candidate


def admit_layer(workspace: Workspace, tables: Sequence[Table] = (BRONZE_TRANSACTIONS,)) -> LayerResult:
    """Check rows that wait for the gate, record what came out, and let readers read them when every gate opens.

    Rows that come while the gate looks wait for the next time.

    Args:
        workspace: Holds the writer lock.
        tables: Of bronze; those where nothing waits are passed over.

    Raises:
        GateError: A contract is broken; nothing was admitted.
        StorageError: Somebody wrote past the gate, or a log is torn.
    """
    found = [w for table in tables if (w := waiting_rows(workspace, table)) is not None]
    candidates = {w.candidate.table: w.candidate for w in found}
    gates = {
        name: workspace.step(f"check {name}", Layer.BRONZE, partial(check_table, workspace, candidate, {}))
        for name, candidate in candidates.items()
    }
    record_layer(workspace, "admission", candidates, gates)
    problems = [problem for gate in gates.values() for problem in gate.problems]
    if problems:
        workspace.announce.gate_shut(workspace.run, Layer.BRONZE, gates)
        raise GateError(
            "the gate is shut for rows that came over HTTP: " + "; ".join(problems),
            where=", ".join(name for name, gate in gates.items() if not gate.opens),
            mend="they stay in the table, read by nobody; details: ./lakehouse check --last",
        )
    release = partial(_admitted, workspace, found, gates)
    admitted = workspace.step("admit bronze", Layer.BRONZE, release) if found else ()
    workspace.announce.released(workspace.run, Layer.BRONZE, admitted, candidates)
    return LayerResult(Layer.BRONZE, admitted, candidates, gates)


def waiting_rows(workspace: Workspace, table: Table) -> Waiting | None:
    """Rows of a table that wait for its gate; None where none do.

    Raises:
        StorageError: Somebody wrote past the gate, and what waits cannot be told from that.
    """
    lake = workspace.lake
    delta = lake.open(table)
    version = -1 if delta is None else int(delta.version())
    found = standing(lake.path(table), version)
    if delta is None or not found.pending:
        return None
    if not found.clean:
        raise StorageError(
            f"version {version} holds rows that no gate let in beside rows that wait for it",
            where=table.full_name,
            mend=f"take the others out with: ./lakehouse restore {table.full_name}",
        )
    gated = last_gated(lake, table)
    read = set(gated.files) if gated is not None else set()
    present = {Path(uri) for uri in delta.file_uris()}
    new, old = sorted(present - read), sorted(read - present)
    # A compaction by somebody else may have merged rows that are read already with new ones.
    rows = _over_http(new) - _over_http(old)
    return Waiting(table, version, Candidate(table.full_name, tuple(new), Balance(rows, rows, 0, 0), (), "append"))


def _over_http(files: Iterable[Path]) -> int:
    """Rows that came over HTTP; those of files that landed meanwhile are in the balance of their landing."""
    files = list(files)
    if not files:
        return 0
    batches = pl.scan_parquet(files).filter(pl.col("_batch_id").str.starts_with(REST))
    return int(batches.select(pl.len()).collect(engine="streaming").item())


def _admitted(workspace: Workspace, found: Sequence[Waiting], gates: dict[str, GateResult]) -> tuple[Published, ...]:
    published = []
    for waiting in found:
        gate = gates[waiting.candidate.table]
        record = GateRecord(
            run_id=workspace.run.run_id,
            outcome=gate.outcome.value,
            contract_hash=gate.contract_hash,
            balance=waiting.candidate.balance,
        )
        published.append(admit(workspace.lake, waiting.table, waiting.version, record))
    return tuple(published)
