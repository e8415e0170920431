"""Publishing: staged Parquet files become a table's next version in one Delta commit, or not at all.

The files a contract was run on are themselves moved into the table and named by the commit; no row is
copied between check and publish.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.transaction import AddAction, create_table_with_add_actions

from lake.candidate import Candidate, Run, SaveMode
from lake.checks import GateResult
from lake.errors import GateError, StorageError
from lake.gated import EXEMPT, GatedVersion, GateRecord, is_exempt, last_gated
from lake.lake import Lake, readable
from lake.parquet_stats import file_statistics
from lake.table import Table
from lake.tables import quarantine_of
from lake.tables import table as declared

# Any version can be asked what let it in, so commit information outlives the data it speaks of.
_TABLE_PROPERTIES = {"delta.logRetentionDuration": "interval 3650 days"}


@dataclass(frozen=True, slots=True)
class Published:
    """What readers of a table now read."""

    table: str
    version: int
    changed: bool


def has_landed(lake: Lake, table: Table, batch_id: str) -> bool:
    """Whether a batch is in the table, as recorded in the same commit as its rows."""
    delta = lake.open(table)
    return delta is not None and delta.transaction_version(_application(batch_id)) is not None


def publish(lake: Lake, candidate: Candidate, gate: GateResult, run: Run, sources: dict[str, int]) -> Published:
    """Publish a candidate its gate let through, its quarantine first.

    Killed in between, the next run finds the quarantined batches recorded and adds only what is missing.

    Args:
        lake: The lake.
        candidate: Staged rows.
        gate: Its contract's outcome.
        run: The run that publishes.
        sources: Versions of the tables the rows came from.

    Raises:
        GateError: The gate is shut, or it judged other rows than these.
        StorageError: Disk full, torn log, foreign rows in the way.
        LakeBusyError: Another writer committed first.
    """
    table = declared(candidate.table)
    if not gate.opens or gate.table != candidate.table or gate.rows_tested != candidate.balance.published:
        raise GateError("; ".join(gate.problems) or "the gate judged other rows", where=candidate.table)
    if not candidate.balance.holds:
        raise GateError(f"rows do not balance: {candidate.balance}", where=candidate.table)
    already = _published_before(lake, table, candidate, gate)
    if already is not None:
        return already
    quarantine_version = _publish_quarantine(lake, table, candidate, run)
    record = GateRecord(
        run_id=run.run_id,
        outcome=gate.outcome.value,
        contract_hash=gate.contract_hash,
        fingerprint=candidate.fingerprint,
        sources=sources,
        batches=candidate.batches,
        balance=candidate.balance,
        quarantine_version=quarantine_version,
        engine=candidate.engine,
    )
    return Published(candidate.table, commit(lake, table, candidate.files, candidate.mode, record), changed=True)


def _published_before(lake: Lake, table: Table, candidate: Candidate, gate: GateResult) -> Published | None:
    """What a repeated publish finds done: the same batches landed, or the same rows under the same contract."""
    gated = last_gated(lake, table)
    if gated is None:
        return None
    if candidate.mode == "append":
        done = bool(candidate.batches) and all(has_landed(lake, table, batch) for batch in candidate.batches)
    else:
        same_rows = candidate.fingerprint != "" and gated.record.fingerprint == candidate.fingerprint
        done = same_rows and gated.record.contract_hash == gate.contract_hash
    return Published(candidate.table, gated.version, changed=False) if done else None


def _publish_quarantine(lake: Lake, table: Table, candidate: Candidate, run: Run) -> int | None:
    quarantine = quarantine_of(table)
    current = last_gated(lake, quarantine)
    files = candidate.quarantine_files
    done = [b for b in candidate.batches if has_landed(lake, quarantine, b)]
    files = _without_batches(files, done) if done else files
    unchanged = (
        current is not None and candidate.fingerprint != "" and (current.record.fingerprint == candidate.fingerprint)
    )
    nothing_new = not files and (candidate.mode == "append" or current is None or current.rows == 0)
    if unchanged or nothing_new:
        return current.version if current else None
    record = GateRecord(run.run_id, EXEMPT, fingerprint=candidate.fingerprint, batches=candidate.batches)
    return commit(lake, quarantine, files, candidate.mode, record)


def _without_batches(files: tuple[Path, ...], batches: list[str]) -> tuple[Path, ...]:
    kept = []
    for file in files:
        rows = pq.read_table(file)
        rest = rows.filter(pc.invert(pc.is_in(rows["_batch_id"], value_set=pa.array(batches))))
        if rest.num_rows:
            target = file.with_name(f"rest-{file.name}")
            pq.write_table(rest, target)
            kept.append(target)
    return tuple(kept)


def commit(lake: Lake, table: Table, files: tuple[Path, ...], mode: SaveMode, record: GateRecord) -> int:
    """Move staged files into a table and name them in one commit.

    Args:
        lake: The lake.
        table: Declaration; the files have its schema.
        files: Staged Parquet files on the lake's file system.
        mode: "append" adds to the last gated version, "overwrite" replaces it.
        record: Stored with the commit; its batches become application transactions.

    Returns:
        The new version.

    Raises:
        StorageError: Disk full, torn log, foreign rows in the way; the staged files are back where they were.
        LakeBusyError: Another writer committed first; likewise.
    """
    if record.outcome == EXEMPT and not is_exempt(table):
        raise GateError("only the platform's own tables are published without a contract", where=table.full_name)
    path = lake.path(table)
    delta = lake.open(table)
    if delta is not None and mode == "append":
        _refuse_foreign_rows(lake, table, delta)
    version = 0 if delta is None else delta.version() + 1
    # The version in the name keeps a file that is read from ever being written over.
    moves = [(file, path / f"{version:010d}-{record.run_id}-{i:05d}.parquet") for i, file in enumerate(files)]
    with readable(path), _moved_into(path, moves) as actions:
        _write_log(path, table, delta, actions, mode, record)
    return version


def _write_log(
    path: Path, table: Table, delta: DeltaTable | None, actions: list[AddAction], mode: SaveMode, record: GateRecord
) -> None:
    schema = Schema.from_arrow(table.schema)
    properties = CommitProperties(
        custom_metadata=record.to_metadata(),
        # Whoever committed since we read has changed what this commit was judged against.
        max_commit_retries=0,
        app_transactions=[Transaction(_application(batch), 1) for batch in record.batches],
    )
    if delta is None:
        create_table_with_add_actions(
            str(path),
            schema,
            actions,
            mode="error",
            name=table.full_name,
            description=table.description,
            configuration=_TABLE_PROPERTIES,
            commit_properties=properties,
        )
    else:
        delta.create_write_transaction([*actions], mode, schema, commit_properties=properties)


@contextmanager
def _moved_into(path: Path, moves: list[tuple[Path, Path]]) -> Iterator[list[AddAction]]:
    """Staged files at their place in the table; back in staging when the commit fails."""
    done: list[tuple[Path, Path]] = []
    try:
        path.mkdir(parents=True, exist_ok=True)
        actions = []
        for staged, target in moves:
            statistics = file_statistics(staged)
            staged.replace(target)
            done.append((staged, target))
            status = target.stat()
            modified_ms = status.st_mtime_ns // 1_000_000
            actions.append(AddAction(target.name, status.st_size, {}, modified_ms, True, statistics))
        yield actions
    except BaseException:
        for staged, target in done:
            target.replace(staged)
        raise


def _refuse_foreign_rows(lake: Lake, table: Table, delta: DeltaTable) -> None:
    gated: GatedVersion | None = last_gated(lake, table)
    if gated is None or gated.version != delta.version():
        raise StorageError(
            f"version {delta.version()} holds rows that no gate let in, and adding to it would let them through",
            where=table.full_name,
            mend=f"look at it with: ./lakehouse history {table.full_name}; "
            f"go back to the last gated version with: ./lakehouse restore {table.full_name}",
        )


def restore(lake: Lake, table: Table) -> Published:
    """Make the last gated version the newest again, dropping what was written past the gate.

    Raises:
        StorageError: No version was ever gated.
    """
    gated, delta = last_gated(lake, table), lake.open(table)
    if gated is None or delta is None:
        raise StorageError("no version was ever let in by a gate", where=table.full_name)
    if gated.version == delta.version():
        return Published(table.full_name, gated.version, changed=False)
    with readable(lake.path(table)):
        delta.restore(gated.version, commit_properties=CommitProperties(custom_metadata=gated.record.to_metadata()))
        delta.update_incremental()
        return Published(table.full_name, int(delta.version()), changed=True)


def _application(batch_id: str) -> str:
    return f"land/{batch_id}"
