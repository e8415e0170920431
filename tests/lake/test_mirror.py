"""Readers of a copy see one whole published version at every moment, and the copy ends as the lake is."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.checkpoints import checkpoint
from lake.errors import DivergenceError
from lake.gated import last_gated
from lake.lake import Lake
from lake.log import LOG
from lake.log_cleaning import clean_log
from lake.mirror import mirror, vacuum_copy
from lake.mirror_verify import verify
from lake.object_store import ObjectStore
from lake.settings import MirrorSettings
from tests.lake.conftest import read_rows
from tests.lake.mirror_places import PLACE, PLANS, DyingStore, History, KilledError, mirrored, rows_in, rows_of_copy

BEFORE = ("append", "append", "wait", "admit", "replace")
AFTER = (
    "append",
    "compact",
    "wait",
    "wait",
    "admit_late",
    "stranger",
    "restore",
    "admit",
    "append",
    "replace",
    "append",
)
NO_LIMITS = MirrorSettings()


@pytest.fixture
def history(lake: Lake) -> History:
    return History(lake)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "copy"), NO_LIMITS)


def same_as_lake(lake: Lake, store: ObjectStore) -> bool:
    copy, gated = store.delta(PLACE), last_gated(lake, PLANS)
    assert copy is not None
    assert gated is not None
    return (copy.version(), list(rows_in(copy))) == (gated.version, read_rows(lake, PLANS))


def entries(store: ObjectStore) -> list[str]:
    return sorted(n for n in store.sizes(PLACE) if n.startswith(LOG) and n.endswith(".json"))


def test_a_copy_has_the_version_the_files_and_the_rows_that_readers_of_the_lake_read(
    history: History, store: ObjectStore
) -> None:
    history.happen(*BEFORE)
    done = mirrored(history.lake, store)
    assert same_as_lake(history.lake, store)
    assert (done.entries, done.files) == (1, 1)
    history.happen("append", "append")
    done = mirrored(history.lake, store)
    assert same_as_lake(history.lake, store)
    assert (done.entries, done.files) == (2, 2)


def test_entries_of_published_versions_are_the_lakes_own_bytes(history: History, store: ObjectStore) -> None:
    history.happen("append")
    mirrored(history.lake, store)
    history.happen("append", "compact", "replace")
    mirrored(history.lake, store)
    assert len(entries(store)) == 4
    for name in entries(store):
        assert store.read(f"{PLACE}/{name}") == (history.lake.path(PLANS) / name).read_bytes()


def test_a_second_run_changes_nothing(history: History, tmp_path: Path) -> None:
    history.happen(*BEFORE)
    store = DyingStore(str(tmp_path / "copy"), NO_LIMITS)
    mirrored(history.lake, store)
    changes = store.changes
    mirrored(history.lake, store)
    assert store.changes == changes


def test_a_table_never_published_is_left_out(history: History, store: ObjectStore) -> None:
    assert mirror(history.lake, PLANS, store) is None
    history.happen("wait")
    assert mirror(history.lake, PLANS, store) is None
    assert store.sizes(PLACE) == {}


def test_rows_that_no_gate_let_in_never_leave_not_even_in_older_versions(history: History, store: ObjectStore) -> None:
    history.happen("append")
    mirrored(history.lake, store)
    history.happen("wait", "admit", "stranger", "restore", "append", "stranger")
    mirrored(history.lake, store)
    everything = b"".join(store.read(f"{PLACE}/{name}") or b"" for name in store.sizes(PLACE))
    assert b"stranger" not in everything
    assert b"append-6" in everything
    copy = store.delta(PLACE)
    assert copy is not None
    for version in range(int(copy.version()) + 1):
        assert rows_in(DeltaTable(f"{store.url}/{PLACE}", version=version)) in history.seen


@pytest.mark.parametrize("after", [False, True], ids=["before the change", "after the change"])
@pytest.mark.parametrize("first", [True, False], ids=["new copy", "existing copy"])
def test_killed_at_any_change_readers_see_a_published_version_and_the_next_run_ends_like_an_unbroken_one(
    history: History, tmp_path: Path, first: bool, after: bool
) -> None:
    history.happen(*BEFORE)
    begun = tmp_path / "begun"
    begun.mkdir()
    if not first:
        mirrored(history.lake, ObjectStore(str(begun), NO_LIMITS))
        history.happen(*AFTER)
    unbroken = DyingStore(str(shutil.copytree(begun, tmp_path / "unbroken")), NO_LIMITS)
    mirrored(history.lake, unbroken)
    assert unbroken.changes > 3
    for at in range(unbroken.changes):
        place = str(shutil.copytree(begun, tmp_path / f"killed-{at}"))
        with pytest.raises(KilledError):
            mirror(history.lake, PLANS, DyingStore(place, NO_LIMITS, at, after=after))
        store = ObjectStore(place, NO_LIMITS)
        assert rows_of_copy(store) in [None, *history.seen] if first else rows_of_copy(store) in history.seen
        mirrored(history.lake, store)
        assert same_as_lake(history.lake, store)
        assert store.sizes(PLACE).keys() == unbroken.sizes(PLACE).keys()


STEPS = ("append", "replace", "wait", "admit", "admit_late", "stranger", "restore", "compact", "vacuum", "mirror")


@given(
    steps=st.lists(st.sampled_from(STEPS), min_size=3, max_size=14),
    kills=st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=6),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_to_the_lake_and_whenever_a_mirror_is_killed_readers_see_what_was_published(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], kills: list[tuple[int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    history = History(Lake(folder / "lake"))
    place, waiting = str(folder / "copy"), iter(kills)
    for step in ["append", *steps, "mirror"]:
        if step != "mirror":
            history.happen(step)
            continue
        at, after = next(waiting, (-1, False))
        try:
            mirror(history.lake, PLANS, DyingStore(place, NO_LIMITS, at, after=after))
        except KilledError:
            assert rows_of_copy(ObjectStore(place, NO_LIMITS)) in [None, *history.seen]
        else:
            assert same_as_lake(history.lake, ObjectStore(place, NO_LIMITS))
    store = ObjectStore(place, NO_LIMITS)
    mirrored(history.lake, store)
    assert same_as_lake(history.lake, store)


def test_where_the_log_was_cleaned_since_the_copy_goes_on_with_what_is_left(
    history: History, store: ObjectStore
) -> None:
    history.happen("append", "append")
    mirrored(history.lake, store)
    history.happen("append", "replace", "append", "append")
    checkpoint(history.lake, PLANS)
    assert clean_log(history.lake, PLANS, 1).entries == 0
    history.happen("append", "append")
    assert clean_log(history.lake, PLANS, 1).entries > 3
    done = mirrored(history.lake, store)
    assert same_as_lake(history.lake, store)
    assert done.entries == 6


def test_a_copy_begun_after_files_of_old_versions_are_gone_is_whole(history: History, store: ObjectStore) -> None:
    history.happen("append", "append", "replace", "append", "replace", "vacuum", "append")
    mirrored(history.lake, store)
    assert same_as_lake(history.lake, store)


def test_versions_whose_files_are_gone_by_now_are_passed_over(history: History, store: ObjectStore) -> None:
    history.happen("append")
    mirrored(history.lake, store)
    history.happen("append", "append", "replace", "vacuum", "append")
    mirrored(history.lake, store)
    assert same_as_lake(history.lake, store)


def test_another_table_at_the_place_is_an_error_and_nothing_is_overwritten(
    history: History, store: ObjectStore, tmp_path: Path
) -> None:
    other = History(Lake(tmp_path / "other"))
    other.happen("append")
    mirrored(other.lake, store)
    before = {name: store.read(f"{PLACE}/{name}") for name in store.sizes(PLACE)}
    history.happen("append", "append")
    with pytest.raises(DivergenceError, match="another table lies there"):
        mirror(history.lake, PLANS, store)
    assert {name: store.read(f"{PLACE}/{name}") for name in store.sizes(PLACE)} == before


@pytest.mark.parametrize(("since", "words"), [((), "has not reached"), (("append", "append"), "is not ours")])
def test_a_lake_set_back_to_a_backup_is_told_from_the_copy(
    history: History, store: ObjectStore, tmp_path: Path, since: tuple[str, ...], words: str
) -> None:
    history.happen("append")
    shutil.copytree(history.lake.root, tmp_path / "backup")
    history.happen("append")
    mirrored(history.lake, store)
    back = History(Lake(tmp_path / "backup"))
    back.happen(*("replace", *since) if since else ())
    with pytest.raises(DivergenceError, match=words):
        mirror(back.lake, PLANS, store)


def test_several_mirrors_at_once_beside_a_writer_end_right_and_readers_always_see_what_was_published(
    history: History, store: ObjectStore
) -> None:
    history.happen("append")
    ended = threading.Event()

    def again_and_again() -> None:
        own = ObjectStore(store.url, NO_LIMITS)
        while not ended.is_set():
            mirror(history.lake, PLANS, own)

    def look() -> list[tuple[str, ...] | None]:
        looks = []
        while not ended.is_set():
            looks.append(rows_of_copy(store))
        return looks

    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(again_and_again) for _ in range(3)]
        seen = pool.submit(look)
        try:
            history.happen(*(*AFTER, "wait", "replace", "compact") * 2)
        finally:
            ended.set()
        for mirrors in work:
            mirrors.result()
        assert set(seen.result()) <= {None, *history.seen}
    mirrored(history.lake, store)
    assert same_as_lake(history.lake, store)


def test_a_file_deleted_or_cut_short_in_the_copy_is_found_and_put_back(history: History, store: ObjectStore) -> None:
    history.happen("append", "append")
    done = mirrored(history.lake, store)
    first, second = sorted(n for n in store.sizes(PLACE) if n.endswith(".parquet") and LOG not in n)
    store.delete([f"{PLACE}/{first}"])
    store.put(f"{PLACE}/{second}", b"PAR1")
    with pytest.raises(DivergenceError, match="2 files differ"):
        verify(history.lake, PLANS, store, done)
    again = mirrored(history.lake, store)
    assert again.files == 2


def test_bytes_changed_in_the_copy_are_found_by_every_byte(history: History, store: ObjectStore) -> None:
    history.happen("append")
    done = mirrored(history.lake, store)
    name = next(n for n in store.sizes(PLACE) if n.endswith(".parquet") and LOG not in n)
    content = bytearray(store.read(f"{PLACE}/{name}") or b"")
    content[100] ^= 1
    store.put(f"{PLACE}/{name}", bytes(content))
    verify(history.lake, PLANS, store, done)
    with pytest.raises(DivergenceError, match=name):
        verify(history.lake, PLANS, store, done, every_byte=True)


def test_vacuum_deletes_what_left_the_table_longer_than_its_retention_ago(history: History, store: ObjectStore) -> None:
    history.happen("append", "append")
    mirrored(history.lake, store)
    history.happen("replace")
    mirrored(history.lake, store)
    names = store.sizes(PLACE).keys()
    assert vacuum_copy(PLANS, store) == 0
    assert vacuum_copy(dataclasses.replace(PLANS, retention_days=0), store) == 2
    assert len(names - store.sizes(PLACE).keys()) == 2
    mirrored(history.lake, store)
    assert same_as_lake(history.lake, store)


def test_after_many_entries_readers_get_a_checkpoint(
    history: History, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lake.mirror._CHECKPOINT_EVERY", 5)
    history.happen("append")
    for _ in range(4):
        history.happen("append", "append")
        mirrored(history.lake, store)
    named = json.loads(store.read(f"{PLACE}/{LOG}/_last_checkpoint") or b"")["version"]
    checkpoints = sorted(int(Path(n).name[:20]) for n in store.sizes(PLACE) if n.endswith(".checkpoint.parquet"))
    assert (named, checkpoints) == (8, [2, 8])
    assert same_as_lake(history.lake, store)
