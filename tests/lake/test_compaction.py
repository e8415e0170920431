"""Compaction keeps every row, what stands to the gate, and out of the way of those who append."""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from lake import compaction
from lake.active_files import ActiveFile, active_files
from lake.compaction import compact, worth_merging
from lake.errors import StorageError
from lake.gated import PENDING, last_gated, standing
from lake.lake import Lake
from lake.log import read_entry
from lake.publish import admit, publish
from lake.tables import BRONZE_TRANSACTIONS, quarantine_of, table
from tests.lake.conftest import (
    RUN,
    CandidateMaker,
    append_as_stranger,
    append_pending,
    newest_version,
    passing,
    read_rows,
    rows_at,
)

PLANS = table("bronze.plans")


def publish_batches(lake: Lake, make_candidate: CandidateMaker, count: int) -> list[str]:
    for number in range(count):
        candidate = make_candidate(f"p{number}", batch=f"b{number}", rejected=(f"q{number}",))
        publish(lake, candidate, passing(candidate), RUN, {})
    return sorted(f"p{number}" for number in range(count))


def test_small_files_become_one_and_readers_read_on(lake: Lake, make_candidate: CandidateMaker) -> None:
    rows = publish_batches(lake, make_candidate, 5)
    done = compact(lake, PLANS, min_files=5)
    assert done is not None
    assert (done.removed, done.added, done.version) == (5, 1, 5)
    assert rows_at(lake, PLANS) == read_rows(lake, PLANS) == rows
    assert all(rows_at(lake, PLANS, v) == sorted(rows[: v + 1]) for v in range(5))
    gated = last_gated(lake, PLANS)
    assert gated is not None
    assert (gated.version, gated.record.outcome, gated.record.batches) == (5, "PASSED", ("b4",))
    assert len(gated.files) == 1


def test_the_merged_file_has_the_declared_schema_and_its_statistics(lake: Lake, make_candidate: CandidateMaker) -> None:
    publish_batches(lake, make_candidate, 3)
    compact(lake, PLANS, min_files=2)
    compact(lake, quarantine_of(PLANS), min_files=2)
    for of in (PLANS, quarantine_of(PLANS)):
        delta = DeltaTable(str(lake.path(of)))
        (file,) = delta.file_uris()
        assert pq.read_schema(file).equals(of.schema)
        actions = delta.get_add_actions(flatten=True)
        assert actions.column("num_records").to_pylist() == [3]
    assert actions.column("min.quarantine_id").to_pylist() == ["q0"]
    assert actions.column("max.quarantine_id").to_pylist() == ["q2"]


def test_a_commit_of_compaction_changes_no_data(lake: Lake, make_candidate: CandidateMaker) -> None:
    publish_batches(lake, make_candidate, 2)
    done = compact(lake, PLANS, min_files=2)
    assert done is not None
    entry = read_entry(lake.path(PLANS), done.version)
    assert entry is not None
    assert entry.info["operation"] == "OPTIMIZE"
    assert [a["dataChange"] for a in (*entry.removed, *entry.added)] == [False, False, False]


def test_too_few_files_are_left_alone(lake: Lake, make_candidate: CandidateMaker) -> None:
    assert compact(lake, PLANS, min_files=2) is None
    publish_batches(lake, make_candidate, 3)
    assert compact(lake, PLANS, min_files=4) is None
    assert compact(lake, PLANS, min_files=3) is not None
    assert compact(lake, PLANS, min_files=1) is None, "one file is never written again"


def test_rows_past_the_gate_are_never_merged_with_checked_ones(lake: Lake, make_candidate: CandidateMaker) -> None:
    publish_batches(lake, make_candidate, 3)
    append_as_stranger(lake, PLANS, "s")
    assert compact(lake, PLANS, min_files=2) is None


def test_rows_that_wait_go_on_waiting_and_are_not_merged_with_admitted_ones(
    lake: Lake, make_candidate: CandidateMaker
) -> None:
    admitted = publish_batches(lake, make_candidate, 3)
    for number in range(3):
        append_pending(lake, PLANS, [f"r{number}"])
    done = compact(lake, PLANS, min_files=2)
    assert done is not None
    assert (done.removed, done.added) == (6, 2)
    assert read_rows(lake, PLANS) == admitted
    assert rows_at(lake, PLANS) == [*admitted, "r0", "r1", "r2"]
    found = standing(lake.path(PLANS), done.version)
    assert (found.last_open, found.pending, found.clean) == (2, True, True)


def test_after_an_admission_the_merged_version_is_read(lake: Lake, make_candidate: CandidateMaker) -> None:
    publish_batches(lake, make_candidate, 1)
    version = append_pending(lake, PLANS, ["r0"])
    record = last_gated(lake, PLANS).record  # type: ignore[union-attr]
    admit(lake, PLANS, version, dataclasses.replace(record, run_id="run-2"))
    done = compact(lake, PLANS, min_files=2)
    assert done is not None
    gated = last_gated(lake, PLANS)
    assert gated is not None
    assert (gated.version, gated.record.run_id) == (done.version, "run-2")
    assert read_rows(lake, PLANS) == ["p0", "r0"]


def test_a_table_that_only_waits_is_compacted_and_still_waits(lake: Lake) -> None:
    for number in range(4):
        append_pending(lake, BRONZE_TRANSACTIONS, [f"t{number}"])
    assert compact(lake, BRONZE_TRANSACTIONS, min_files=4) is not None
    assert last_gated(lake, BRONZE_TRANSACTIONS) is None
    assert rows_at(lake, BRONZE_TRANSACTIONS) == ["t0", "t1", "t2", "t3"]
    assert append_pending(lake, BRONZE_TRANSACTIONS, ["t4"]) == 5


def test_files_somebody_else_took_out_meanwhile_are_left_to_him(
    lake: Lake, make_candidate: CandidateMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = publish_batches(lake, make_candidate, 3)
    write = compaction._write

    def other_first(*arguments: object) -> object:
        monkeypatch.undo()
        DeltaTable(str(lake.path(PLANS))).optimize.compact()
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(compaction, "_write", other_first)
    assert compact(lake, PLANS, min_files=2) is None
    assert rows_at(lake, PLANS) == rows
    assert not list(lake.path(PLANS).glob("compacted-*"))


def test_a_file_that_does_not_hold_what_the_log_says_stops_it(lake: Lake, make_candidate: CandidateMaker) -> None:
    publish_batches(lake, make_candidate, 2)
    victim = last_gated(lake, PLANS).files[0]  # type: ignore[union-attr]
    pq.write_table(pa.concat_tables([pq.read_table(victim)] * 2), victim)
    with pytest.raises(StorageError, match="the log says 2"):
        compact(lake, PLANS, min_files=2)
    assert not [f for f in lake.path(PLANS).iterdir() if "compacted" in f.name]


def test_files_of_other_writers_are_merged_into_the_declared_types(lake: Lake) -> None:
    quarantine = quarantine_of(PLANS)
    rows = {c: ["x"] for c in quarantine.column_names if c not in ("rules", "_line", "quarantined_at")}
    theirs = pl.DataFrame(rows | {"rules": [["a", "b"]], "_line": [1], "quarantined_at": [RUN.at]})
    path = str(lake.path(quarantine))
    for number in range(2):
        write_deltalake(path, theirs.select(quarantine.column_names).to_arrow(), mode="append")
        assert number == DeltaTable(path).version()
    from lake.compaction import _merge

    files = active_files(DeltaTable(path))
    assert _merge(lake.path(quarantine), quarantine.schema, files, 1) is None, "they stand past the gate"
    target = lake.path(quarantine) / "out.parquet"
    compaction._write(target, lake.path(quarantine), quarantine.schema, files)
    assert pq.read_table(target).schema.equals(quarantine.schema)
    assert pq.read_table(target)["rules"].to_pylist() == [["a", "b"]] * 2


def test_rows_wider_than_a_row_group_are_split(
    lake: Lake, make_candidate: CandidateMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_ROW_GROUP_ROWS", 2)
    rows = publish_batches(lake, make_candidate, 5)
    compact(lake, PLANS, min_files=2)
    (file,) = DeltaTable(str(lake.path(PLANS))).file_uris()
    assert pq.read_metadata(file).num_row_groups == 3
    assert rows_at(lake, PLANS) == rows


def test_groups_end_at_the_target_size(lake: Lake, make_candidate: CandidateMaker) -> None:
    rows = publish_batches(lake, make_candidate, 6)
    size = last_gated(lake, PLANS).files[0].stat().st_size  # type: ignore[union-attr]
    done = compact(lake, PLANS, min_files=2, target_bytes=2 * size + 1000)
    assert done is not None
    assert (done.removed, done.added) == (6, 2)
    assert rows_at(lake, PLANS) == rows


@given(st.lists(st.integers(1, 2_000), max_size=60))
def test_each_time_a_byte_is_copied_its_file_has_grown_by_half(sizes: list[int]) -> None:
    target = 1_280
    files = [ActiveFile(f"f{i}", size, 1, i) for i, size in enumerate(sizes)]
    chosen = worth_merging(files, target)
    assert all(f.size < target / 2 for f in chosen)
    if chosen and max(f.size for f in chosen) > target / 128:
        assert sum(f.size for f in chosen) >= 1.5 * max(f.size for f in chosen)


def test_a_day_of_compactions_copies_each_byte_a_few_times() -> None:
    target, copied, files = 128 * 1024, 0, [ActiveFile("f", 5, 1, 0)]
    for step in range(1, 20_000):
        files.append(ActiveFile(f"f{step}", 5, 1, step))
        if step % 1_000 == 0:
            chosen = set(worth_merging(files, target))
            total = sum(f.size for f in chosen)
            copied += total
            files = [f for f in files if f not in chosen] + [ActiveFile(f"m{step}", total, 1, step)]
    assert copied / (20_000 * 5) <= math.log(target / 5_000) / math.log(1.5)
    assert len(files) < 1_020


def _append_many(root: str, commits: int) -> None:
    for number in range(commits):
        append_pending(Lake(Path(root)), BRONZE_TRANSACTIONS, [f"t{number:04d}"], tries=50)


def test_appending_and_compacting_at_once_loses_and_doubles_nothing(lake: Lake) -> None:
    commits = 80
    append_pending(lake, BRONZE_TRANSACTIONS, ["first"])
    # A fresh interpreter: delta-rs has started threads here, which a fork would not have.
    writer = multiprocessing.get_context("spawn").Process(target=_append_many, args=(str(lake.root), commits))
    writer.start()
    merges = 0
    while writer.is_alive():
        merges += compact(lake, BRONZE_TRANSACTIONS, min_files=5) is not None
    writer.join()
    assert writer.exitcode == 0
    assert merges >= 2, "nothing was compacted while rows came in"
    newest = newest_version(lake, BRONZE_TRANSACTIONS)
    assert newest >= commits + merges
    expected = ["first"]
    for version in range(1, newest + 1):
        entry = read_entry(lake.path(BRONZE_TRANSACTIONS), version)
        assert entry is not None
        if entry.info["operation"] == "WRITE":
            expected.append(f"t{len(expected) - 1:04d}")
        assert rows_at(lake, BRONZE_TRANSACTIONS, version) == expected, version
        assert entry.info["lakehouse"]["outcome"] == PENDING
    by_polars = pl.scan_delta(str(lake.path(BRONZE_TRANSACTIONS))).select("transaction_id").collect()
    assert sorted(by_polars["transaction_id"]) == expected
