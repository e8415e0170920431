"""Versions a gate let in: what readers read, and the record of who let them in and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from lake.candidate import Balance
from lake.checks import Outcome
from lake.lake import Lake, readable
from lake.table import Layer, Table

METADATA_KEY = "lakehouse"
# Tables the platform keeps for itself have no contract.
EXEMPT = "EXEMPT"
_OPEN_OUTCOMES = (Outcome.PASSED.value, Outcome.WARN.value, EXEMPT)
# Operations that by the Delta protocol never change rows.
_NEUTRAL_OPERATIONS = ("OPTIMIZE", "VACUUM START", "VACUUM END")
_HISTORY_PAGE = 20


@dataclass(frozen=True, slots=True)
class GateRecord:
    """What a commit says about itself, stored under ``lakehouse`` in its commit information.

    Args:
        run_id: Run that published.
        outcome: PASSED, WARN, or EXEMPT for tables without a contract.
        contract_hash: SHA-256 of the contract that let it in; None when exempt.
        fingerprint: What the rows depend on (see Candidate).
        sources: Version of every table that was read.
        batches: Batches that landed with this commit.
        balance: Where the rows went; None when exempt.
        quarantine_version: Version of the quarantine table that belongs to it.
        engine: Engine that computed the rows; None for landed ones.
    """

    run_id: str
    outcome: str
    contract_hash: str | None = None
    fingerprint: str = ""
    sources: dict[str, int] = field(default_factory=dict)
    batches: tuple[str, ...] = ()
    balance: Balance | None = None
    quarantine_version: int | None = None
    engine: str | None = None

    def to_metadata(self) -> dict[str, Any]:
        return {METADATA_KEY: asdict(self)}

    @classmethod
    def from_metadata(cls, entry: dict[str, Any]) -> GateRecord | None:
        """The record in one entry of a table's history; None when the commit is not ours."""
        stored = entry.get(METADATA_KEY)
        if not isinstance(stored, dict) or stored.get("outcome") not in _OPEN_OUTCOMES:
            return None
        balance = stored.get("balance")
        return cls(
            **{
                **stored,
                "batches": tuple(stored.get("batches", ())),
                "balance": Balance(**balance) if balance else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Commit:
    """One version in a table's history; `record` is None when no gate let it in."""

    version: int
    at: datetime
    operation: str
    record: GateRecord | None


@dataclass(frozen=True, slots=True)
class GatedVersion:
    """A readable version of a table."""

    table: Table
    version: int
    at: datetime
    record: GateRecord
    delta: DeltaTable

    @property
    def files(self) -> tuple[Path, ...]:
        """Parquet files of the version, sorted by name."""
        return tuple(sorted(Path(uri) for uri in self.delta.file_uris()))

    @property
    def rows(self) -> int:
        return int(self.delta.count())

    @property
    def size_bytes(self) -> int:
        return sum(self.delta.get_add_actions(flatten=True).column("size_bytes").to_pylist())


def commits(lake: Lake, table: Table) -> Iterator[Commit]:
    """A table's history, newest first; empty when it was never written."""
    delta = lake.open(table)
    if delta is None:
        return
    limit, seen = _HISTORY_PAGE, 0
    while True:
        with readable(lake.path(table)):
            entries = delta.history(limit)
        yield from (_commit(entry) for entry in entries[seen:])
        if len(entries) < limit:
            return
        # The log gives no page by offset; doubling keeps the total read within twice the history.
        seen, limit = len(entries), limit * 2


def _commit(entry: dict[str, Any]) -> Commit:
    return Commit(
        version=entry["version"],
        at=datetime.fromtimestamp(entry["timestamp"] / 1000, tz=UTC),
        operation=entry.get("operation", "unknown"),
        record=GateRecord.from_metadata(entry),
    )


def last_gated(lake: Lake, table: Table) -> GatedVersion | None:
    """The newest version a gate let in; None when there is none.

    Commits of others that by protocol change no rows (compaction) are read through; a version somebody
    wrote past the gate is never returned.
    """
    head: int | None = None
    for commit in commits(lake, table):
        if commit.record is not None:
            version = commit.version if head is None else head
            delta = lake.open(table, version)
            assert delta is not None, "a table with history exists"
            return GatedVersion(table, version, commit.at, commit.record, delta)
        head = (commit.version if head is None else head) if commit.operation in _NEUTRAL_OPERATIONS else None
    return None


def is_exempt(table: Table) -> bool:
    """Whether a table is the platform's own and has no contract."""
    return table.layer in (Layer.QUARANTINE, Layer.AUDIT)
