"""What others committed without syncing is synced before anything of ours goes on top."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lake.compaction import compact
from lake.foreign import keep_foreign
from lake.lake import Lake
from lake.log import LOG, entry_path
from lake.publish import restore
from lake.tables import table
from tests.lake.conftest import append_as_stranger, append_pending

PLANS = table("bronze.plans")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Paths in the order in which they are synced from now on."""
    seen: list[Path] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        seen.append(Path(f"/proc/self/fd/{descriptor}").resolve())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return seen


def test_entries_of_others_and_their_files_are_synced_down_to_the_newest_of_ours(
    lake: Lake, synced: list[Path]
) -> None:
    append_as_stranger(lake, PLANS, "below")
    append_pending(lake, PLANS, ["ours"])
    before = set(DeltaTable(str(lake.path(PLANS))).file_uris())
    append_as_stranger(lake, PLANS, "s1")
    append_as_stranger(lake, PLANS, "s2")
    files = {Path(f) for f in set(DeltaTable(str(lake.path(PLANS))).file_uris()) - before}
    synced.clear()
    assert keep_foreign(lake.path(PLANS), 3) == 2
    entries = {entry_path(lake.path(PLANS), v) for v in (2, 3)}
    assert set(synced) == {*files, *entries, lake.path(PLANS), lake.path(PLANS) / LOG}
    assert synced[-1] == lake.path(PLANS) / LOG


def test_on_top_of_ours_nothing_is_synced_again(lake: Lake, synced: list[Path]) -> None:
    append_as_stranger(lake, PLANS, "s")
    append_pending(lake, PLANS, ["ours"])
    synced.clear()
    assert keep_foreign(lake.path(PLANS), 1) == 0
    assert keep_foreign(lake.path(PLANS), -1) == 0
    assert synced == []


def test_files_that_were_merged_and_deleted_since_are_passed_over(lake: Lake) -> None:
    for number in range(3):
        append_as_stranger(lake, PLANS, f"s{number}")
    delta = DeltaTable(str(lake.path(PLANS)))
    delta.optimize.compact()
    delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert keep_foreign(lake.path(PLANS), delta.version()) == delta.version() + 1


def test_compaction_and_restore_keep_what_they_build_on(lake: Lake, synced: list[Path]) -> None:
    append_pending(lake, PLANS, ["r0"])
    append_pending(lake, PLANS, ["r1"])
    DeltaTable(str(lake.path(PLANS))).optimize.compact()
    append_pending(lake, PLANS, ["r2"])
    DeltaTable(str(lake.path(PLANS))).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert compact(lake, PLANS, min_files=2) is not None
    assert entry_path(lake.path(PLANS), 5) in synced
    version = append_as_stranger(lake, PLANS, "s")
    restore(lake, PLANS)
    assert entry_path(lake.path(PLANS), version) in synced
