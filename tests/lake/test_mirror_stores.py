"""The mirror on S3 and on Azure, over the real protocols; readers of other makes; networks and stores that fail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.errors import BadInputError, ConfigurationError, LakehouseError, StorageError
from lake.lake import Lake
from lake.mirror import mirror
from lake.object_store import ObjectStore
from lake.settings import MirrorSettings
from lake.store_errors import StoreUnreachableError, explain
from tests.lake.conftest import read_rows
from tests.lake.emulators import (
    ACCOUNT,
    AZURE_ENVIRONMENT,
    S3_ENVIRONMENT,
    azurite,
    make_bucket,
    make_container,
    s3_server,
)
from tests.lake.faulty_proxy import Fault, faulty
from tests.lake.mirror_places import PLACE, PLANS, DyingStore, History, KilledError, mirrored, rows_of_copy

LATER = ("append", "wait", "stranger", "restore", "admit", "replace", "append")
READ = """
import json, sys
from deltalake import DeltaTable
import duckdb, polars
url, options = sys.argv[1], json.loads(sys.argv[2])
delta = DeltaTable(url, storage_options=options)
rows = delta.to_pyarrow_table()
print(json.dumps({
    "deltalake": sorted(rows["plan_id"].to_pylist()),
    "polars": sorted(polars.read_delta(url, storage_options=options)["plan_id"].to_list()),
    "duckdb": [r[0] for r in duckdb.sql("SELECT plan_id FROM rows ORDER BY plan_id").fetchall()],
}))
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as endpoint:
        make_bucket(endpoint, "lake")
        yield endpoint


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with azurite(tmp_path_factory.mktemp("azurite")) as endpoint:
        make_container(endpoint, "lake")
        yield endpoint


@pytest.fixture
def history(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> History:
    for name, value in {**S3_ENVIRONMENT, **AZURE_ENVIRONMENT}.items():
        monkeypatch.setenv(name, value)
    return History(lake)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, MirrorSettings]:
    """A URL that nothing lies at, and its settings."""
    endpoint = request.getfixturevalue(request.param)
    path = tmp_path.name
    urls = {"s3": f"s3://lake/{path}", "azure": f"abfss://lake@{ACCOUNT}.dfs.core.windows.net/{path}"}
    return urls[request.param], MirrorSettings(endpoint=endpoint, allow_http=True, retries=2, timeout_s=10)


both = pytest.mark.parametrize("place", ["s3", "azure"], indirect=True)
on_s3 = pytest.mark.parametrize("place", ["s3"], indirect=True)


@both
def test_a_copy_is_begun_and_goes_on(history: History, place: tuple[str, MirrorSettings]) -> None:
    store = ObjectStore(*place)
    history.happen("append", "append")
    mirrored(history.lake, store)
    history.happen(*LATER)
    done = mirrored(history.lake, store)
    assert rows_of_copy(store) == history.seen[-1]
    # Waiting rows, a stranger's, their undoing and ADMIT come in between; of these only ADMIT brings anything.
    assert done.entries == 7


@both
def test_other_programs_in_other_processes_read_the_same_rows(
    history: History, place: tuple[str, MirrorSettings]
) -> None:
    store = ObjectStore(*place)
    history.happen("append", "append")
    mirrored(history.lake, store)
    history.happen(*LATER)
    mirrored(history.lake, store)
    arguments = [sys.executable, "-c", READ, f"{store.url}/{PLACE}", json.dumps(store.reader_options())]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    rows = read_rows(history.lake, PLANS)
    assert read == {"deltalake": rows, "polars": rows, "duckdb": rows}


@both
def test_killed_at_any_change_readers_see_a_published_version_and_the_next_run_ends_right(
    history: History, place: tuple[str, MirrorSettings]
) -> None:
    url, settings = place
    history.happen("append")
    copies = [f"{url}/{at}" for at in range(12)]
    for copy in copies:
        mirrored(history.lake, ObjectStore(copy, settings))
    history.happen("append", "wait", "admit", "replace")
    kills = 0
    for at, copy in enumerate(copies):
        try:
            mirror(history.lake, PLANS, DyingStore(copy, settings, at // 2, after=bool(at % 2)))
        except KilledError:
            kills += 1
        assert rows_of_copy(ObjectStore(copy, settings)) in history.seen
        mirrored(history.lake, ObjectStore(copy, settings))
        assert rows_of_copy(ObjectStore(copy, settings)) == history.seen[-1]
    assert kills == 12


@both
def test_a_version_is_written_once_however_many_write_it(history: History, place: tuple[str, MirrorSettings]) -> None:
    store = ObjectStore(*place)
    assert store.create("x/0.json", b"ours")
    assert store.create("x/0.json", b"ours")
    assert not store.create("x/0.json", b"theirs")
    assert store.read("x/0.json") == b"ours"
    store.delete(["x/0.json", "x/0.json"])
    assert store.read("x/0.json") is None


@on_s3
def test_a_file_of_several_parts_arrives_whole(
    history: History, place: tuple[str, MirrorSettings], tmp_path: Path
) -> None:
    store, file = ObjectStore(*place), tmp_path / "large"
    file.write_bytes(bytes(range(256)) * 80_000)
    store.put("large", file)
    assert store.sizes("") == {"large": 256 * 80_000}
    assert store.read("large") == file.read_bytes()


FAULTS: tuple[Fault, ...] = ("delay", "drop", "lost answer", "500", "503", "cut request", "cut answer")


@on_s3
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_that_pass_within_the_retries_leave_no_trace(
    history: History, place: tuple[str, MirrorSettings], fault: Fault
) -> None:
    url, settings = place
    history.happen("append", "append")
    with faulty(str(settings.endpoint), fault, 1) as (endpoint, proxy):
        store = ObjectStore(url, settings.model_copy(update={"endpoint": endpoint}))
        mirrored(history.lake, store)
        history.happen(*LATER)
        mirrored(history.lake, store)
        assert len(proxy.failed) > 10
    assert rows_of_copy(ObjectStore(*place)) == history.seen[-1]


@on_s3
@pytest.mark.parametrize("fault", ["drop", "500", "503"])
def test_faults_that_last_are_told_and_nothing_half_done_can_be_read(
    history: History, place: tuple[str, MirrorSettings], fault: Fault
) -> None:
    url, settings = place
    history.happen("append", "append")
    mirrored(history.lake, ObjectStore(url, settings))
    published = rows_of_copy(ObjectStore(url, settings))
    history.happen("append")
    with faulty(str(settings.endpoint), fault, 1_000) as (endpoint, _):
        broken = settings.model_copy(update={"endpoint": endpoint, "retries": 1, "timeout_s": 2})
        with pytest.raises(StoreUnreachableError, match="does not answer") as told:
            mirror(history.lake, PLANS, ObjectStore(url, broken))
    assert told.value.retryable
    assert rows_of_copy(ObjectStore(url, settings)) == published
    mirrored(history.lake, ObjectStore(url, settings))


def explained(url: str, history: History, **settings: object) -> LakehouseError:
    with pytest.raises(LakehouseError) as told:
        mirror(history.lake, PLANS, ObjectStore(url, MirrorSettings(retries=1, timeout_s=2, **settings)))  # type: ignore[arg-type]  # one case a row, values of several types
    return told.value


def test_each_failure_says_what_and_what_to_type(
    history: History, s3: str, azure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.happen("append")
    error = explained("s3://nobody-made-this/x", history, endpoint=s3, allow_http=True)
    assert (type(error), error.what) == (StorageError, "the bucket or container is not there")
    container = f"abfss://absent@{ACCOUNT}.dfs.core.windows.net/x"
    error = explained(container, history, endpoint=azure, allow_http=True)
    assert (type(error), error.what) == (StorageError, "the bucket or container is not there")
    error = explained("s3://lake/x", history, endpoint="http://127.0.0.1:9", allow_http=True)
    assert type(error) is StoreUnreachableError
    assert "mirror.endpoint" in str(error.mend)
    error = explained("s3://lake/x", history, endpoint=s3)
    assert (type(error), "LAKEHOUSE_MIRROR__ALLOW_HTTP" in str(error.mend)) == (ConfigurationError, True)
    error = explained("gs://lake/x", history)
    assert (type(error), "s3://bucket/prefix" in str(error.mend)) == (BadInputError, True)
    (tmp_path / "file").write_text("not a directory")
    assert type(explained(str(tmp_path / "file" / "copy"), history)) is StorageError
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc=")
    error = explained(f"abfss://lake@{ACCOUNT}.dfs.core.windows.net/x", history, endpoint=azure, allow_http=True)
    assert (type(error), "AZURE_" in str(error.mend)) == (StorageError, True)


def test_missing_credentials_are_told(history: History, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    history.happen("append")
    for name in S3_ENVIRONMENT:
        monkeypatch.delenv(name)
    # Where nothing is set the library asks the machine for its identity; nobody answers there.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    error = explained("s3://lake/x", history, endpoint=s3, allow_http=True, region="us-east-1")
    assert (type(error), "AWS_ACCESS_KEY_ID" in str(error.mend)) == (ConfigurationError, True)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "Unable to copy data to file: No space left on device (os error 28)",
            "disk is full",
        ),
        ("Server returned non-2xx status code: 403 Forbidden: <Error><Code>AccessDenied</Code>", "access was denied"),
        (
            "Received redirect without LOCATION, this normally indicates an incorrect region",
            "another region",
        ),
        ("400 Bad Request: <Error><Code>ExpiredToken</Code>", "credentials were refused"),
    ],
)
def test_what_the_library_says_is_told_in_words_to_act_on(text: str, what: str) -> None:
    error = explain(text, "s3://lake/x", MirrorSettings())
    assert what in error.what
    assert error.mend
