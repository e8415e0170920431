"""Apache Spark with delta-spark reads and goes on from a checkpoint that forgot tombstones."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.lake import Lake
from spark.session import spark_session
from tests.lake.conftest import rows_at
from tests.lake.test_tombstones import PLANS, newest_checkpoint, rounds, tombstones

pytestmark = pytest.mark.spark


def test_spark_reads_what_the_table_holds_and_appends_and_vacuums(lake: Lake, tmp_path: Path) -> None:
    rounds(lake, 6)
    assert 0 < len(tombstones(newest_checkpoint(lake))) < 50
    path = str(lake.path(PLANS))
    with spark_session(tmp_path / "scratch", memory_mb=1024) as session:
        frame = session.read.format("delta").load(path)
        assert sorted(row.plan_id for row in frame.select("plan_id").collect()) == rows_at(lake, PLANS)
        frame.limit(1).write.format("delta").mode("append").save(path)
        session.sql(f"VACUUM delta.`{path}`").collect()
        assert session.read.format("delta").load(path).count() == 61
    assert len(rows_at(lake, PLANS)) == 61
