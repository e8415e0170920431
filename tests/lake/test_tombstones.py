"""A long log's checkpoint stays as small as what it keeps: files gone before the oldest kept version are forgotten."""

from __future__ import annotations

import os
import time
from pathlib import Path

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lake.checkpoints import checkpoint
from lake.compaction import compact
from lake.lake import Lake
from lake.log_cleaning import clean_log
from lake.log_listing import LAST_CHECKPOINT, list_log
from lake.tables import table
from lake.tombstones import forget_tombstones
from lake.vacuum import vacuum
from tests.lake.conftest import append_as_stranger, append_pending, rows_at

PLANS = table("bronze.plans")
KEPT = 12
LONG_AGO = time.time() - 40 * 86_400


def rounds(lake: Lake, number: int, *, kept: int = KEPT) -> None:
    """Rounds of the keeper, each after ten commits: checkpoint, compaction, cleaning of the log."""
    for first in range(0, 10 * number, 10):
        for row in range(first, first + 10):
            append_pending(lake, PLANS, [f"r{row:03d}"])
        checkpoint(lake, PLANS)
        compact(lake, PLANS, min_files=5)
        clean_log(lake, PLANS, kept)


def newest_checkpoint(lake: Lake) -> Path:
    listing = list_log(lake.path(PLANS))
    return listing.checkpoints[max(listing.checkpoints)][0]


def tombstones(file: Path) -> list[str]:
    removed = pq.ParquetFile(file).read(columns=["remove.path"]).column("remove").to_pylist()
    return [action["path"] for action in removed if action is not None]


def test_checkpoints_hold_no_more_tombstones_after_many_rounds_than_after_few(lake: Lake) -> None:
    rounds(lake, 5)
    few = len(tombstones(newest_checkpoint(lake)))
    rounds(lake, 10)
    # Each round takes out ten files and the one merged before.
    assert len(tombstones(newest_checkpoint(lake))) <= few <= 4 * 11
    kept = sorted(list_log(lake.path(PLANS)).entries)
    assert len(kept) < 3 * KEPT
    for version in kept:
        assert rows_at(lake, PLANS, version)
    assert len(rows_at(lake, PLANS, kept[-1])) == 150


def test_while_the_log_goes_back_to_its_beginning_nothing_is_forgotten(lake: Lake) -> None:
    rounds(lake, 5, kept=1_000)
    assert 0 in list_log(lake.path(PLANS)).entries
    # The files of the last round leave the table after its checkpoint.
    assert len(tombstones(newest_checkpoint(lake))) == 40 + 3


def test_every_file_that_a_kept_version_had_and_the_newest_lacks_is_told_of(lake: Lake) -> None:
    rounds(lake, 12)
    checkpoint(lake, PLANS)
    path = lake.path(PLANS)
    told = set(tombstones(newest_checkpoint(lake)))
    active = set(DeltaTable(str(path)).file_uris())
    for version in list_log(path).entries:
        had = set(DeltaTable(str(path), version=version).file_uris())
        assert {Path(uri).name for uri in had - active} <= told


def test_others_read_the_checkpoint_and_the_hint_tells_its_size(lake: Lake) -> None:
    rounds(lake, 8)
    path, file = lake.path(PLANS), newest_checkpoint(lake)
    hint = orjson.loads((path / "_delta_log" / LAST_CHECKPOINT).read_bytes())
    assert (hint["size"], hint["sizeInBytes"]) == (pq.ParquetFile(file).metadata.num_rows, file.stat().st_size)
    assert hint["version"] == int(file.name[:20])
    assert pl.read_delta(str(path)).height == 80
    DeltaTable(str(path)).create_checkpoint()
    append_as_stranger(lake, PLANS, "last")
    assert DeltaTable(str(path)).to_pyarrow_table().num_rows == 81


def test_files_of_forgotten_tombstones_stay_for_those_who_read_them_and_go_when_they_are_old(lake: Lake) -> None:
    path = lake.path(PLANS)
    rounds(lake, 1)
    for file in path.glob("*.parquet"):
        os.utime(file, (LONG_AGO, LONG_AGO))
    rounds(lake, 5)
    files = {file.name for file in path.glob("*.parquet")}
    told = set(tombstones(newest_checkpoint(lake)))
    active = {Path(uri).name for uri in DeltaTable(str(path)).file_uris()}
    assert files - told - active, "some are forgotten"
    assert vacuum(lake, PLANS) == 0
    assert {file.name for file in path.glob("*.parquet")} == files
    for file in path.glob("*.parquet"):
        os.utime(file, (LONG_AGO, LONG_AGO))
    assert vacuum(lake, PLANS) > 0
    assert rows_at(lake, PLANS, int(DeltaTable(str(path)).version()))


def written(file: Path, *removed: tuple[str, int, str | None]) -> Path:
    """A checkpoint of tombstones alone: path, moment, deletion vector."""
    vector = pa.struct([("pathOrInlineDv", pa.string())])
    kind = pa.struct([("path", pa.string()), ("deletionTimestamp", pa.int64()), ("deletionVector", vector)])
    rows = [
        {"path": path, "deletionTimestamp": moment, "deletionVector": inline and {"pathOrInlineDv": inline}}
        for path, moment, inline in removed
    ]
    pq.write_table(pa.table({"remove": pa.array([None, *rows], kind)}), file)
    return file


def test_the_same_file_taken_out_again_and_rows_taken_out_of_a_file_are_not_forgotten(tmp_path: Path) -> None:
    below = written(tmp_path / "1.parquet", ("gone", 1, None), ("back", 1, None), ("vector", 1, "x"))
    newest = written(tmp_path / "2.parquet", ("gone", 1, None), ("back", 2, None), ("vector", 1, "x"), ("new", 1, None))
    assert forget_tombstones(tmp_path, newest, below) == 1
    assert tombstones(newest) == ["back", "vector", "new"]
    assert pq.read_table(newest).num_rows == 4
    assert {file.name for file in tmp_path.iterdir()} == {"1.parquet", "2.parquet"}


def test_where_nothing_is_forgotten_the_checkpoint_keeps_its_bytes(tmp_path: Path) -> None:
    below, newest = written(tmp_path / "1.parquet"), written(tmp_path / "2.parquet", ("new", 1, None))
    before = newest.read_bytes()
    assert forget_tombstones(tmp_path, newest, below) == 0
    assert newest.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"1.parquet", "2.parquet"}


@pytest.mark.parametrize("name", ["../outside", "%2E%2E/outside", "{root}/outside", "file://{root}/outside", "nothing"])
def test_a_strangers_tombstone_touches_nothing_outside_the_table(tmp_path: Path, name: str) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "table"
    inside.mkdir()
    outside.write_text("")
    os.utime(outside, (1, 1))
    tombstone = (name.format(root=tmp_path), 1, None)
    below, newest = written(inside / "1.parquet", tombstone), written(inside / "2.parquet", tombstone)
    assert forget_tombstones(inside, newest, below) == 1
    assert outside.stat().st_mtime == 1
