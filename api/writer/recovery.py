"""What a new writer knows: ledger and idempotency keys of the window, read back from the tables.

Nothing else is kept on the disk for it: a row in bronze is the record that its id was acknowledged, so an outcome that
a kill left unknown is settled by what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from api.writer.group import CONFLICT_RULE, KEY
from api.writer.keys_seen import KeyAnswer, KeysSeen
from api.writer.ledger import Ledger, Prints, frame_prints
from api.writer.rows_of_commit import QUARANTINE
from lake.lake import Lake
from lake.rest_rows import REST, VERSION_DIGITS
from lake.settings import IngestSettings
from lake.table import Table
from lake.tables import BRONZE_TRANSACTIONS

# Rows read at a time bound the memory; thousands of small files among them are read in parallel.
_ROWS_AT_ONCE = 250_000
_SECONDS_AN_HOUR = 3_600
_US = 1_000_000
_SOURCE_PARTS_WITH_KEY = 4


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the tables tell.

    Args:
        ledger: Ids of the rows in the window.
        keys: Idempotency keys and quarantined bodies in the window.
        last_us: Moment of the newest row, microseconds since 1970 UTC; 0 without one.
    """

    ledger: Ledger
    keys: KeysSeen
    last_us: int


def recover(lake: Lake, settings: IngestSettings, now: datetime) -> Recovered:
    """Read the window back; takes about a second for a million rows.

    Raises:
        StorageError: A table cannot be read.
    """
    window_s = settings.window_hours * _SECONDS_AN_HOUR
    ledger, keys = Ledger(settings.window_rows, window_s), KeysSeen(window_s)
    since = now - timedelta(seconds=window_s)
    answers: dict[str, KeyAnswer] = {}
    moments: dict[str, float] = {}
    last_us = _read_bronze(lake, since, settings.window_rows, ledger, answers, moments)
    _read_quarantine(lake, since, keys, answers, moments)
    for idempotency in sorted(answers, key=moments.__getitem__):
        keys.remember(idempotency, answers[idempotency], moments[idempotency])
    return Recovered(ledger, keys, last_us)


def _read_bronze(
    lake: Lake,
    since: datetime,
    window_rows: int,
    ledger: Ledger,
    answers: dict[str, KeyAnswer],
    moments: dict[str, float],
) -> int:
    prints: list[Prints] = []
    versions: list[npt.NDArray[np.int64]] = []
    instants: list[npt.NDArray[np.int64]] = []
    rows = 0
    for frame in _frames(lake, BRONZE_TRANSACTIONS, since, "_ingested_at", "_batch_id"):
        rest = frame.with_columns(
            pl.col("_batch_id").str.slice(len(REST), VERSION_DIGITS).cast(pl.Int64).alias("version")
        )
        prints.append(frame_prints(rest.select(c.name for c in BRONZE_TRANSACTIONS.payload), KEY))
        versions.append(rest["version"].to_numpy())
        instants.append(rest["_ingested_at"].dt.epoch("us").to_numpy())
        _collect_keys(rest, answers, moments)
        rows += rest.height
        if rows >= window_rows:
            break
    if not rows:
        return 0
    all_versions, all_instants = np.concatenate(versions), np.concatenate(instants)
    order = np.argsort(all_versions, kind="stable")
    ledger.add_many(Prints.joined(prints).take(order), all_versions[order], all_instants[order] / _US)
    return int(all_instants.max())


def _collect_keys(rest: pl.DataFrame, answers: dict[str, KeyAnswer], moments: dict[str, float]) -> None:
    keyed = rest.filter(pl.col("_source").str.count_matches("/", literal=True) == _SOURCE_PARTS_WITH_KEY - 1)
    grouped = keyed.group_by("_source", "version").agg(
        pl.len(), pl.col("_ingested_at").min().dt.epoch("us").alias("us")
    )
    for source, version, count, us in grouped.iter_rows():
        _, _, idempotency, digest = source.split("/")
        answers[idempotency] = KeyAnswer(digest, version, count)
        moments[idempotency] = us / _US


def _read_quarantine(
    lake: Lake, since: datetime, keys: KeysSeen, answers: dict[str, KeyAnswer], moments: dict[str, float]
) -> None:
    for frame in _frames(lake, QUARANTINE, since, "quarantined_at", "_source"):
        grouped = (
            frame.sort("quarantined_at")
            .group_by("_source", "_batch_id", maintain_order=True)
            .agg(
                pl.len(),
                pl.col("quarantined_at").min().dt.epoch("us").alias("us"),
                (pl.col("_line") - 1).filter(pl.col("rules").list.contains(CONFLICT_RULE)).alias("conflicts"),
            )
        )
        for source, digest, count, us, conflicts in grouped.iter_rows():
            keys.remember_quarantined(digest, us / _US)
            parts = source.split("/")
            if len(parts) == _SOURCE_PARTS_WITH_KEY:
                first = answers.get(parts[3])
                version, committed = (first.version, first.committed) if first else (None, 0)
                answers[parts[3]] = KeyAnswer(
                    digest, version, committed, quarantined=count, conflicts=tuple(sorted(conflicts))
                )
                moments.setdefault(parts[3], us / _US)


def _frames(lake: Lake, table: Table, since: datetime, moment: str, origin: str) -> Iterator[pl.DataFrame]:
    """Rows from HTTP since a moment, files with the newest first; `origin` is the column that tells them."""
    delta = lake.open(table)
    if delta is None:
        return
    actions = pa.table(delta.get_add_actions(flatten=True))
    paths = [str(lake.path(table) / p) for p in actions.column("path").to_pylist()]
    newest = [_utc(when) for when in _column(actions, f"max.{moment}")]
    counts = [count or _ROWS_AT_ONCE for count in _column(actions, "num_records")]
    inside = sorted((f for f in zip(newest, paths, counts, strict=True) if f[0] >= since), reverse=True)
    together: list[str] = []
    rows = 0
    for _, path, count in inside:
        if together and rows + count > _ROWS_AT_ONCE:
            yield _read(together, since, moment, origin)
            together, rows = [], 0
        together.append(path)
        rows += count
    if together:
        yield _read(together, since, moment, origin)


def _read(files: list[str], since: datetime, moment: str, origin: str) -> pl.DataFrame:
    wanted = (pl.col(moment) >= since) & pl.col(origin).str.starts_with(REST)
    return pl.scan_parquet(files).filter(wanted).collect()


def _column(actions: pa.Table, name: str) -> list[Any]:
    return list(actions.column(name).to_pylist()) if name in actions.column_names else [None] * actions.num_rows


def _utc(when: datetime | None) -> datetime:
    """A file without statistics may hold anything, so it counts as new."""
    if when is None:
        return datetime.max.replace(tzinfo=UTC)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when
