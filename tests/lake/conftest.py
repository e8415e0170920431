"""A lake in a temporary folder, and candidates made by hand."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from lake import log
from lake.candidate import Balance, Candidate, Run, SaveMode
from lake.checks import CheckResult, GateResult, Outcome
from lake.durable import make_directory
from lake.gated import PENDING, GateRecord, last_gated, standing
from lake.lake import Lake
from lake.log_listing import list_log
from lake.parquet_stats import file_statistics
from lake.publish import TABLE_PROPERTIES
from lake.table import Table
from lake.tables import table

RUN = Run("run-1", datetime(2026, 1, 1, tzinfo=UTC))
CandidateMaker = Callable[..., Candidate]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.prepare()
    return lake


@pytest.fixture
def make_candidate(lake: Lake) -> CandidateMaker:
    """Plans named by the given ids, staged as a candidate of bronze.plans."""

    def make(
        *ids: str, batch: str = "b1", mode: SaveMode = "append", fingerprint: str = "", rejected: tuple[str, ...] = ()
    ) -> Candidate:
        staging = lake.staging("run-1") / batch
        staging.mkdir(parents=True, exist_ok=True)
        plans = table("bronze.plans")
        rows = {c.name: [None] * len(ids) for c in plans.columns} | {
            "plan_id": list(ids),
            "_batch_id": [batch] * len(ids),
        }
        file = staging / "data_0.parquet"
        pq.write_table(pa.table(rows, schema=plans.schema), file)
        quarantine_files: tuple[Path, ...] = ()
        if rejected:
            schema = table("quarantine.bronze_plans").schema
            bad = {name: [None] * len(rejected) for name in schema.names} | {
                "quarantine_id": list(rejected),
                "_batch_id": [batch] * len(rejected),
            }
            quarantine_files = (staging / "bad_0.parquet",)
            pq.write_table(pa.table(bad, schema=schema), quarantine_files[0])
        return Candidate(
            "bronze.plans",
            (file,) if ids else (),
            Balance(len(ids) + len(rejected), len(ids), 0, len(rejected)),
            quarantine_files,
            mode,
            (batch,) if mode == "append" else (),
            fingerprint,
        )

    return make


def passing(candidate: Candidate, contract_hash: str = "c1") -> GateResult:
    check = CheckResult("row_count", "row_count", None, Outcome.PASSED)
    return GateResult(candidate.table, contract_hash, candidate.balance.published, (check,))


def newest_version(lake: Lake, of: Table) -> int:
    """Newest version in a table's log; -1 when it was never written."""
    return list_log(lake.path(of)).newest


def append_pending(lake: Lake, of: Table, ids: Sequence[str], *, tries: int = 1, **columns: Any) -> int:
    """Rows named by ids, committed as the service commits what came over HTTP: waiting for the gate.

    Args:
        lake: The lake.
        of: The table.
        ids: Values of its key.
        tries: Versions to try while others commit.
        columns: Value of a column in every row; NULL in those not named, but for the service's own.

    Returns:
        The version that holds them.
    """
    path = lake.path(of)
    make_directory(path / log.LOG)
    for _ in range(tries):
        newest = newest_version(lake, of)
        found = standing(path, newest)
        version = newest + 1
        rows: dict[str, list[Any]] = {name: [None] * len(ids) for name in of.column_names}
        rows[of.key[0]] = list(ids)
        rows["_batch_id"] = [f"rest/{version:020d}/w1"] * len(ids)
        rows["_source"] = ["rest/k1"] * len(ids)
        rows["_line"] = list(range(1, len(ids) + 1))
        rows["_ingested_at"] = [RUN.at] * len(ids)
        rows |= {name: [value] * len(ids) for name, value in columns.items()}
        file = path / f"{version:010d}-{uuid.uuid4().hex}.parquet"
        pq.write_table(pa.table(rows, schema=of.schema), file)
        record = GateRecord("w1", PENDING, last_open=found.last_open, clean=found.clean)
        actions = [
            log.commit_info("WRITE", {"mode": "Append"}, record.to_metadata()),
            *(log.create(of, TABLE_PROPERTIES) if version == 0 else ()),
            log.add(file.name, file.stat(), file_statistics(file)),
        ]
        if log.write_entry(path, version, actions):
            return version
    raise AssertionError("somebody else always committed first")


def rows_at(lake: Lake, of: Table, version: int | None = None) -> list[str]:
    """Sorted keys of the rows in a version, the newest when absent, gate or no gate."""
    delta = DeltaTable(str(lake.path(of)), version=version)
    return sorted(delta.to_pyarrow_table(columns=[of.key[0]])[of.key[0]].to_pylist())


def read_rows(lake: Lake, of: Table) -> list[str]:
    """Sorted keys of the rows that readers see."""
    gated = last_gated(lake, of)
    return sorted(pl.concat([pl.read_parquet(f) for f in gated.files])[of.key[0]]) if gated else []


def append_as_stranger(lake: Lake, of: Table, *ids: str) -> int:
    """Rows written by delta-rs itself, past the gate; returns the version."""
    rows = {of.key[0]: list(ids)}
    path = str(lake.path(of))
    write_deltalake(path, pl.DataFrame(rows).to_arrow(), mode="append", schema_mode="merge")
    return DeltaTable(path).version()
