"""A candidate: rows computed and staged as Parquet, not yet readable by anybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

SaveMode = Literal["append", "overwrite"]


@dataclass(frozen=True, slots=True)
class Run:
    """Which run is acting, and when it began; the only clock logic may read.

    Args:
        run_id: Identifier, unique per run.
        at: Time-zone-aware UTC moment the run began.
    """

    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """Where the rows of one table went in one run, in rows."""

    received: int
    published: int
    duplicates: int
    quarantined: int

    @property
    def holds(self) -> bool:
        return self.received == self.published + self.duplicates + self.quarantined


@dataclass(frozen=True, slots=True)
class Candidate:
    """Staged rows of one table.

    Args:
        table: Full name, such as ``silver.users``.
        files: Parquet files with the declared schema; none when there are no rows.
        balance: Where the rows went; `published` is the number of rows in `files`.
        quarantine_files: Parquet files with the quarantine schema.
        mode: "append" adds to the last gated version, "overwrite" replaces it.
        batches: Identifiers of landed batches, recorded so that none lands twice (bronze).
        fingerprint: SHA-256 over everything the rows depend on: source versions, model, declaration.
            Equal to the last gated version's, there is nothing to publish.
        engine: Engine that computed the rows; None for landed ones.
    """

    table: str
    files: tuple[Path, ...]
    balance: Balance
    quarantine_files: tuple[Path, ...] = ()
    mode: SaveMode = "overwrite"
    batches: tuple[str, ...] = ()
    fingerprint: str = ""
    engine: str | None = None
