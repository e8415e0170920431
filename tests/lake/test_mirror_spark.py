"""Apache Spark with delta-spark reads a copy, from its first checkpoint on and past versions that were held back."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake.lake import Lake
from lake.object_store import ObjectStore
from lake.settings import MirrorSettings
from spark.session import spark_session
from tests.lake.mirror_places import PLACE, History, mirrored

pytestmark = pytest.mark.spark


def rows_by_spark(session: SparkSession, url: str) -> tuple[str, ...]:
    return tuple(sorted(row.plan_id for row in session.read.format("delta").load(url).select("plan_id").collect()))


def test_spark_reads_the_rows_that_readers_of_the_lake_read(lake: Lake, tmp_path: Path) -> None:
    history, store = History(lake), ObjectStore(str(tmp_path / "copy"), MirrorSettings())
    with spark_session(tmp_path / "scratch", memory_mb=1024) as session:
        history.happen("append", "append", "replace")
        mirrored(lake, store)
        assert rows_by_spark(session, f"{store.url}/{PLACE}") == history.seen[-1]
        history.happen("append", "wait", "stranger", "restore", "admit", "compact", "append")
        mirrored(lake, store)
        assert rows_by_spark(session, f"{store.url}/{PLACE}") == history.seen[-1]
