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
from lake.errors import StorageError
from lake.lake import Lake
from lake.log import Entry, entry_path, read_entry
from lake.table import Layer, Table

METADATA_KEY = "lakehouse"
# Tables the platform keeps for itself have no contract.
EXEMPT = "EXEMPT"
# Rows that are in the table and wait for its gate: what came over HTTP since a flow last looked.
PENDING = "PENDING"
_OPEN_OUTCOMES = (Outcome.PASSED.value, Outcome.WARN.value, EXEMPT)
# Operations that by the Delta protocol never change rows.
NEUTRAL_OPERATIONS = ("OPTIMIZE", "VACUUM START", "VACUUM END")


@dataclass(frozen=True, slots=True)
class GateRecord:
    """What a commit says about itself, stored under ``lakehouse`` in its commit information.

    Args:
        run_id: Run that published.
        outcome: PASSED, WARN, EXEMPT for tables without a contract, or PENDING: not read before a gate admits it.
        contract_hash: SHA-256 of the contract that let it in; None when exempt.
        fingerprint: What the rows depend on (see Candidate).
        sources: Version of every table that was read.
        batches: Batches that landed with this commit.
        balance: Where the rows went; None when exempt.
        quarantine_version: Version of the quarantine table that belongs to it.
        engine: Engine that computed the rows; None for landed ones.
        admits: Newest version the gate looked at, where the commit adds no rows but admits those of pending ones.
        last_open: For a pending commit, the newest version before it that a gate opened for; None: none yet.
        clean: For a pending commit, whether nobody wrote past the gate since then.
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
    admits: int | None = None
    last_open: int | None = None
    clean: bool = True

    @property
    def is_open(self) -> bool:
        return self.outcome in _OPEN_OUTCOMES

    def readable_at(self, version: int) -> int:
        """The version readers may read by this record, which `version` carries."""
        # Rows that came while the gate looked wait for the next one.
        return version if self.admits is None or self.admits >= version - 1 else self.admits

    def to_metadata(self) -> dict[str, Any]:
        return {METADATA_KEY: asdict(self)}

    @classmethod
    def from_metadata(cls, entry: dict[str, Any]) -> GateRecord | None:
        """The record in one entry of a table's history; None when the commit is not ours."""
        stored = entry.get(METADATA_KEY)
        if not isinstance(stored, dict) or stored.get("outcome") not in (*_OPEN_OUTCOMES, PENDING):
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
    """One version in a table's history; `record` is None when it was written past the gate."""

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
    # Not by delta-rs's history: it counts down from the version that was opened, but reads the log anew, so that a
    # commit made in between puts every entry under its neighbour's number.
    for version in range(int(delta.version()), -1, -1):
        entry = read_entry(lake.path(table), version)
        if entry is None:
            return
        info = entry.info
        if "timestamp" not in info:
            # What a commit says about itself is optional by the protocol; its file's own time then stands for it.
            try:
                info["timestamp"] = entry_path(lake.path(table), version).stat().st_mtime * 1000
            except FileNotFoundError:
                # Cleaned since it was read.
                return
        yield _commit({**info, "version": version})


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
    wrote past the gate, or that waits for it, is never returned.

    Raises:
        StorageError: The log is torn, or lacks the entry in which the gate opened.
    """
    head: int | None = None
    for commit in commits(lake, table):
        record = commit.record
        if record is not None and not record.is_open:
            return _opened_in(lake, table, record.last_open)
        if record is not None:
            version = record.readable_at(commit.version)
            return _gated(lake, table, commit, head if head is not None and version == commit.version else version)
        head = (commit.version if head is None else head) if commit.operation in NEUTRAL_OPERATIONS else None
    return None


def _opened_in(lake: Lake, table: Table, version: int | None) -> GatedVersion | None:
    """What the gate let in at `version`, without walking through thousands of pending commits."""
    if version is None:
        return None
    entry = read_entry(lake.path(table), version)
    commit = _commit({**entry.info, "version": version}) if entry else None
    if commit is None or commit.record is None:
        raise StorageError(
            f"the log no longer holds version {version}, in which the gate opened last",
            where=table.full_name,
            mend="restore _delta_log from a backup",
        )
    return _gated(lake, table, commit, commit.record.readable_at(version))


def _gated(lake: Lake, table: Table, commit: Commit, version: int) -> GatedVersion:
    delta = lake.open(table, version)
    assert delta is not None, "a table with history exists"
    assert commit.record is not None, "somebody let it in"
    return GatedVersion(table, version, commit.at, commit.record, delta)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the newest version of a table stands to its gate.

    Args:
        last_open: Newest version whose commit says that a gate opened; None when none did.
        pending: Whether rows came since then that wait for the gate.
        clean: Whether nobody wrote rows past the gate since then.
    """

    last_open: int | None
    pending: bool
    clean: bool


def standing(table_path: Path, version: int) -> Standing:
    """How a table stands whose newest version is `version`; -1 for a table never written.

    Reads one entry in the usual case: pending commits carry on what the one before them said.

    Raises:
        StorageError: An entry is torn.
    """
    clean = True
    for number in range(version, -1, -1):
        entry = read_entry(table_path, number)
        if entry is None:
            return Standing(None, pending=True, clean=False)
        record = GateRecord.from_metadata(entry.info)
        if record is not None and record.is_open:
            return Standing(number, pending=record.readable_at(number) != number, clean=clean)
        if record is not None:
            return Standing(record.last_open, pending=True, clean=clean and record.clean)
        clean = clean and is_neutral(entry)
    return Standing(None, pending=False, clean=clean)


def record_at(table_path: Path, version: int) -> GateRecord | None:
    """What a version's commit says about itself; None for one written past the gate, or no longer in the log.

    Raises:
        StorageError: The entry is torn.
    """
    entry = read_entry(table_path, version)
    return GateRecord.from_metadata(entry.info) if entry else None


def is_neutral(entry: Entry) -> bool:
    """Whether a commit by Delta's protocol changes no rows."""
    return entry.info.get("operation") in NEUTRAL_OPERATIONS


def is_exempt(table: Table) -> bool:
    """Whether a table is the platform's own and has no contract."""
    return table.layer in (Layer.QUARANTINE, Layer.AUDIT)
