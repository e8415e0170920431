"""Opening lakes and tables: what is wrong with one is said, never a stack trace."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lake.checkpoints import checkpoint
from lake.errors import LakeBusyError, NewerLakeError, StorageError, VersionGoneError
from lake.lake import Lake
from lake.lock import writer_lock
from lake.log import entry_path
from lake.publish import publish
from lake.tables import table
from tests.lake.conftest import RUN, CandidateMaker, passing

PLANS = table("bronze.plans")


def test_a_lake_of_a_later_format_is_refused(lake: Lake) -> None:
    (lake.root / "lake.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(NewerLakeError, match="format 99"):
        lake.prepare()


def test_an_unreadable_marker_is_named(lake: Lake) -> None:
    (lake.root / "lake.json").write_text("{")
    with pytest.raises(StorageError, match=r"lake\.json"):
        lake.prepare()


def test_a_table_with_columns_of_a_later_declaration_is_refused(lake: Lake) -> None:
    write_deltalake(str(lake.path(PLANS)), pa.table({"plan_id": ["p"], "from_the_future": [1]}))
    with pytest.raises(NewerLakeError, match="from_the_future"):
        lake.open(PLANS)


@pytest.mark.parametrize("content", ["", "{not json", '{"add": {}}', "\x00" * 100])
def test_a_torn_log_names_the_table(lake: Lake, make_candidate: CandidateMaker, content: str) -> None:
    candidate = make_candidate("p1")
    publish(lake, candidate, passing(candidate), RUN, {})
    (lake.path(PLANS) / "_delta_log" / f"{0:020d}.json").write_text(content)
    with pytest.raises(StorageError, match="bronze/plans"):
        lake.open(PLANS)


@pytest.fixture
def gapped(lake: Lake, make_candidate: CandidateMaker) -> tuple[Path, Path]:
    """Where an entry in the middle of a log belongs, and where it is."""
    for name in ("p1", "p2", "p3"):
        candidate = make_candidate(name, batch=name)
        publish(lake, candidate, passing(candidate), RUN, {})
    entry = entry_path(lake.path(PLANS), 1)
    return entry, entry.rename(lake.root / "aside.json")


def test_a_log_listed_while_somebody_adds_to_it_is_listed_again(lake: Lake, gapped: tuple[Path, Path]) -> None:
    entry, aside = gapped
    timer = threading.Timer(0.03, aside.rename, [entry])
    timer.start()
    delta = lake.open(PLANS)
    timer.join()
    assert delta is not None
    assert delta.version() == 2


def test_a_log_that_lacks_an_entry_for_good_is_torn(lake: Lake, gapped: tuple[Path, Path]) -> None:
    with pytest.raises(StorageError, match="found gap"):
        lake.open(PLANS)


@pytest.mark.parametrize("deleted", [1, 2, 3])
def test_versions_that_the_log_does_not_reach_are_named_while_it_is_cleaned_and_after(
    lake: Lake, make_candidate: CandidateMaker, deleted: int
) -> None:
    for name in ("p1", "p2", "p3", "p4", "p5"):
        candidate = make_candidate(name, batch=name)
        publish(lake, candidate, passing(candidate), RUN, {})
        if name == "p4":
            checkpoint(lake, PLANS)
    for version in range(deleted):
        entry_path(lake.path(PLANS), version).unlink()
    for version in range(3):
        with pytest.raises(VersionGoneError, match=f"version {version} can no longer be read"):
            lake.open(PLANS, version)
    with pytest.raises(VersionGoneError, match="no version 9: the newest is 4"):
        lake.open(PLANS, 9)
    for version in (3, 4):
        delta = lake.open(PLANS, version)
        assert delta is not None
        assert delta.version() == version


def test_a_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("")
    with pytest.raises(StorageError, match=r"lake\.root"):
        Lake(tmp_path / "lake").prepare()


def test_a_table_never_written_opens_as_none(lake: Lake) -> None:
    assert lake.open(PLANS) is None


def test_the_second_writer_waits_and_is_told_for_whom(lake: Lake) -> None:
    with (
        writer_lock(lake, "run first", 0),
        pytest.raises(LakeBusyError, match="run first"),
        writer_lock(lake, "run second", 0.05),
    ):
        pass
    with writer_lock(lake, "run second", 0):
        pass
