"""Which tables and files a mirror run copies, and where it refuses to."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lake.candidate import Balance, Candidate
from lake.checks import CheckResult, GateResult, Outcome
from lake.errors import BadInputError
from lake.lake import Lake
from lake.publish import publish
from lake.settings import Settings
from lake.table import Layer
from lake.tables import table
from tasks.mirror import mirror_tables
from tasks.workspace import Workspace, new_run

PUBLISHED = ("bronze.plans", "silver.plans", "gold.revenue")


def publish_one_row(lake: Lake, name: str) -> None:
    declared, run = table(name), new_run()
    staging = lake.staging(run.run_id) / name
    staging.mkdir(parents=True)
    rows = pa.table({c.name: [None] for c in declared.columns}, schema=declared.schema)
    pq.write_table(rows, staging / "data_0.parquet")
    candidate = Candidate(name, (staging / "data_0.parquet",), Balance(1, 1, 0, 0), (), "overwrite", (), "")
    check = CheckResult("row_count", "row_count", None, Outcome.PASSED)
    publish(lake, candidate, GateResult(name, "c1", 1, (check,)), run, {})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    settings = Settings.model_validate(
        {
            "lake": {"root": tmp_path / "lake"},
            "export": {"directory": tmp_path / "exports"},
            "mirror": {"to": str(tmp_path / "copy")},
        }
    )
    workspace = Workspace(settings, new_run())
    workspace.lake.prepare()
    for name in PUBLISHED:
        publish_one_row(workspace.lake, name)
    return workspace


def test_silver_gold_and_the_exports_are_copied_and_nothing_else(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    for name in ("revenue.csv", "quality_report.json", ".revenue.csv.123"):
        (tmp_path / "exports" / name).write_text(name)
    done = mirror_tables(workspace)
    assert done is not None
    assert [t.table for t in done.tables] == ["silver.plans", "gold.revenue"]
    assert done.exports == ("exports/revenue.csv", "exports/quality_report.json")
    assert sorted(p.name for p in (tmp_path / "copy").iterdir()) == ["exports", "gold", "silver"]
    assert (tmp_path / "copy" / "exports" / "revenue.csv").read_text() == "revenue.csv"
    assert DeltaTable(str(tmp_path / "copy" / "gold" / "revenue")).to_pyarrow_table().num_rows == 1


def test_other_layers_are_copied_when_asked_for(workspace: Workspace) -> None:
    done = mirror_tables(workspace, (Layer.BRONZE,))
    assert done is not None
    assert [t.table for t in done.tables] == ["bronze.plans"]
    assert done.exports == ()


def test_without_a_place_nothing_is_done(workspace: Workspace, tmp_path: Path) -> None:
    assert mirror_tables(Workspace(workspace.settings.with_mirror_to(None), workspace.run)) is not None
    nowhere = workspace.settings.model_copy(update={"mirror": Settings().mirror})
    assert mirror_tables(Workspace(nowhere, workspace.run)) is None


def test_a_mirror_in_the_lake_or_around_it_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    for place in (tmp_path / "lake" / "copy", tmp_path, tmp_path / "exports"):
        with pytest.raises(BadInputError, match="lie in each other"):
            mirror_tables(Workspace(workspace.settings.with_mirror_to(str(place)), workspace.run))
