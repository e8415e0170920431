"""delta-spark reads the table that the HTTP service writes, kept up by checkpoints and compaction, as Polars does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from api.writer.protocol import Committed
from bench.faults.writing import row, writing
from lake.lake import Lake
from lake.tables import BRONZE_TRANSACTIONS
from tests.spark.conftest import Sessions

COMMITS = 12


def files_of(lake: Lake) -> list[str]:
    delta = lake.open(BRONZE_TRANSACTIONS)
    assert delta is not None
    return delta.file_uris()


@pytest.mark.spark
def test_delta_spark_reads_what_the_writer_committed(sessions: Sessions, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")

    async def commit() -> None:
        settings = {"checkpoint_commits": 4, "compact_files": 4}
        async with writing(lake.root, settings, tmp_path / "writer.log") as driver:
            for seq in range(COMMITS):
                assert isinstance((await driver.ask(row(seq, f"t-{seq:02}", f"{seq}.25")))[0], Committed)
                await asyncio.sleep(0.2)
            # The keeper, which the writer started, is slow to begin on a busy machine.
            with suppress(TimeoutError):
                async with asyncio.timeout(60):
                    while len(files_of(lake)) >= COMMITS:
                        await asyncio.sleep(0.2)

    asyncio.run(commit())
    assert len(files_of(lake)) < COMMITS, "nothing was compacted"
    columns = [c.name for c in BRONZE_TRANSACTIONS.payload]
    expected = pl.scan_parquet(files_of(lake)).select(columns).sort("transaction_id").collect()
    found = sessions.of("spark").read.format("delta").load(str(lake.path(BRONZE_TRANSACTIONS))).select(columns)
    rows = pl.from_arrow(found.toArrow())
    assert isinstance(rows, pl.DataFrame)
    assert rows.cast(expected.schema).sort("transaction_id").equals(expected)
    assert expected["transaction_id"].to_list() == [f"t-{seq:02}" for seq in range(COMMITS)]
