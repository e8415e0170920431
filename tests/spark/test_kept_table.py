"""delta-spark reads what compaction, cleaning and repair leave behind, and its own torn commits are mended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from api.keeper import keep
from lake.gated import last_gated
from lake.lake import Lake
from lake.log import LOG, entry_path
from lake.log_listing import list_log
from lake.publish import restore
from lake.repair import repair
from lake.settings import IngestSettings
from lake.tables import BRONZE_TRANSACTIONS
from spark.java import find_java
from tests.lake.conftest import append_pending, rows_at
from tests.spark.conftest import Sessions

pytestmark = [pytest.mark.spark, pytest.mark.skipif(find_java() is None, reason="needs Java")]

KEEP = IngestSettings(compact_files=20, checkpoint_commits=40, log_commits_kept=100)


def test_delta_spark_reads_and_writes_a_table_that_was_kept_and_torn(sessions: Sessions, tmp_path: Path) -> None:
    session = sessions.of("spark")
    lake = Lake(tmp_path / "lake")
    lake.prepare()
    rows = [f"t{n:03d}" for n in range(200)]
    for number, row in enumerate(rows, 1):
        append_pending(lake, BRONZE_TRANSACTIONS, [row])
        if number % 50 == 0:
            keep(lake, BRONZE_TRANSACTIONS, KEEP)
    path = lake.path(BRONZE_TRANSACTIONS)
    assert not entry_path(path, 0).exists()

    def by_spark() -> list[str]:
        frame = session.read.format("delta").load(str(path)).select("transaction_id")
        return sorted(row[0] for row in frame.collect())

    assert by_spark() == rows
    session.read.format("delta").load(str(path)).limit(1).write.format("delta").mode("append").save(str(path))
    newest = list_log(path).newest
    checksum = path / LOG / f".{newest:020d}.json.crc"
    os.truncate(entry_path(path, newest), 100)
    torn = [done.where.name for done in repair(lake, BRONZE_TRANSACTIONS)]
    assert f"{newest:020d}.json" in torn
    assert not checksum.exists()
    assert rows_at(lake, BRONZE_TRANSACTIONS) == rows
    assert append_pending(lake, BRONZE_TRANSACTIONS, ["t200"]) == newest
    session.catalog.clearCache()
    assert by_spark() == [*rows, "t200"]
    session.read.format("delta").load(str(path)).limit(3).write.format("delta").mode("append").save(str(path))
    assert restore(lake, BRONZE_TRANSACTIONS).changed
    assert by_spark() == rows_at(lake, BRONZE_TRANSACTIONS) == [*rows, "t200"]
    assert last_gated(lake, BRONZE_TRANSACTIONS) is None
