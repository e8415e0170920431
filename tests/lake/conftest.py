"""A lake in a temporary folder, and candidates made by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.candidate import Balance, Candidate, Run, SaveMode
from lake.checks import CheckResult, GateResult, Outcome
from lake.lake import Lake
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
