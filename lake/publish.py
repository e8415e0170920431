"""Publishing: staged Parquet files become a table's next version in one Delta commit, or not at all.

The files a contract was run on are themselves moved into the table and named by the commit; no row is
copied between check and publish.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lake import log
from lake.active_files import active_files
from lake.candidate import Candidate, Run, SaveMode
from lake.checkpoints import checkpoint
from lake.checks import GateResult
from lake.committing import commit_on_top
from lake.durable import NameNotKeptError, make_directory, sync_directory, sync_file
from lake.errors import GateError, LakeBusyError, StorageError
from lake.gated import EXEMPT, PENDING, GateRecord, is_exempt, last_gated, standing
from lake.lake import Lake, readable
from lake.log import Action, Entry
from lake.parquet_stats import file_statistics
from lake.restoring import plan_restoration
from lake.table import Table
from lake.tables import quarantine_of
from lake.tables import table as declared

# Any version can be asked what let it in, so commit information outlives the data it speaks of.
TABLE_PROPERTIES = {"delta.logRetentionDuration": "interval 3650 days"}
_CHECKPOINT_EVERY = 100


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
    version = -1 if delta is None else int(delta.version())
    # The version in the name keeps a file that is read from ever being written over.
    moves = [(file, path / f"{version + 1:010d}-{record.run_id}-{i:05d}.parquet") for i, file in enumerate(files)]
    with readable(path), _moved_into(path, moves) as added:
        removed = _removals(delta) if delta is not None and mode == "overwrite" else []
        committed = _write_log(table, path, version, [*removed, *added], mode, record)
        if committed % _CHECKPOINT_EVERY == _CHECKPOINT_EVERY - 1:
            checkpoint(lake, table)
    return committed


def _write_log(table: Table, path: Path, version: int, files: list[Action], mode: SaveMode, record: GateRecord) -> int:
    def actions_on(newest: int) -> list[Action]:
        kept = _allowed_onto(table, path, newest, record) if mode == "append" and newest >= 0 else record
        return [
            log.commit_info("WRITE", {"mode": mode.capitalize(), "partitionBy": "[]"}, kept.to_metadata()),
            *(log.create(table, TABLE_PROPERTIES) if newest < 0 else ()),
            *(log.application(_application(batch), 1) for batch in record.batches),
            *files,
        ]

    def goes_after(entry: Entry) -> bool:
        _refuse_same_batch(path, entry, record)
        # Whoever committed since has changed what an overwrite was judged against.
        return mode == "append"

    return _first(path, commit_on_top(path, version, actions_on, goes_after))


def _first(path: Path, committed: int | None) -> int:
    if committed is None:
        raise LakeBusyError("another writer committed first", where=str(path), mend="run the command again")
    return committed


def _refuse_same_batch(path: Path, entry: Entry, record: GateRecord) -> None:
    ours = {_application(batch) for batch in record.batches}
    if ours & {action["txn"]["appId"] for action in entry.actions if "txn" in action}:
        raise LakeBusyError("another writer landed the same batch first", where=str(path), mend="run again")


def _removals(delta: DeltaTable) -> list[Action]:
    return [log.remove(file.name, file.size) for file in active_files(delta)]


@contextmanager
def _moved_into(path: Path, moves: list[tuple[Path, Path]]) -> Iterator[list[Action]]:
    """Staged files at their place in the table, bytes and names kept; back in staging when the commit fails."""
    done: list[tuple[Path, Path]] = []
    try:
        make_directory(path / log.LOG)
        actions = []
        for staged, target in moves:
            statistics = file_statistics(staged)
            sync_file(staged)
            staged.replace(target)
            done.append((staged, target))
            actions.append(log.add(target.name, target.stat(), statistics))
        sync_directory(path)
        yield actions
    except NameNotKeptError:
        # The commit is there; the files it names have to be too.
        raise
    except BaseException:
        for staged, target in done:
            target.replace(staged)
        raise


def _allowed_onto(table: Table, path: Path, version: int, record: GateRecord) -> GateRecord:
    """What a commit may say of itself on top of `version`: open, or pending as rows below it are.

    Raises:
        StorageError: Somebody wrote past the gate.
    """
    found = standing(path, version)
    if not found.clean:
        raise StorageError(
            f"version {version} holds rows that no gate let in, and adding to it would let them through",
            where=table.full_name,
            mend=f"look at it with: ./lakehouse history {table.full_name}; "
            f"go back to the last gated version with: ./lakehouse restore {table.full_name}",
        )
    return replace(record, outcome=PENDING, last_open=found.last_open) if found.pending else record


def admit(lake: Lake, table: Table, version: int, record: GateRecord) -> Published:
    """Let readers read a table up to `version`, whose pending rows passed its contract; adds no rows.

    Args:
        lake: The lake.
        table: Declaration.
        version: Newest version the contract has looked at.
        record: Who admits, by which contract, with what outcome.

    Raises:
        StorageError: Somebody wrote past the gate.
        LakeBusyError: Others commit faster than this can.
    """
    path = lake.path(table)
    admitting = replace(record, admits=version)

    def actions_on(newest: int) -> list[Action]:
        _allowed_onto(table, path, newest, record)
        return [log.commit_info("ADMIT", {}, admitting.to_metadata())]

    with readable(path):
        committed = _first(path, commit_on_top(path, version, actions_on))
    return Published(table.full_name, admitting.readable_at(committed), changed=True)


def restore(lake: Lake, table: Table) -> Published:
    """Take what was written past the gate out of a table; rows of ours stay, those that wait for the gate too.

    Raises:
        StorageError: No row of ours was ever in it, or the log or a file that this needs is gone.
        LakeBusyError: Another writer committed first.
    """
    path, delta = lake.path(table), lake.open(table)
    version = -1 if delta is None else int(delta.version())
    found = standing(path, version)
    if delta is None or (found.clean and found.last_open is None and not found.pending):
        raise StorageError("no version was ever let in by a gate", where=table.full_name)
    if found.clean:
        return Published(table.full_name, version, changed=False)
    plan = plan_restoration(lake, table, delta)
    info = log.commit_info("RESTORE", {"version": str(plan.base)}, plan.record.to_metadata())
    with readable(path):
        committed = _first(path, commit_on_top(path, version, lambda _: [info, *plan.actions], lambda _: False))
    return Published(table.full_name, committed, changed=True)


def _application(batch_id: str) -> str:
    return f"land/{batch_id}"
