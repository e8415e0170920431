"""Entries of a log come back as they were written, and other engines read what we write."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from lake import log
from lake.errors import StorageError
from lake.log import LOG, Entry, read_entry, write_entry
from lake.parquet_stats import file_statistics
from lake.tables import BY_NAME, table

PLANS = table("bronze.plans")
TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / LOG).mkdir()
    return tmp_path


@given(st.lists(st.dictionaries(TEXT, JSON, min_size=1, max_size=2), min_size=1))
def test_actions_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, actions: list[dict[str, object]]
) -> None:
    path = tmp_path_factory.mktemp("t")
    (path / LOG).mkdir()
    assert write_entry(path, 3, actions)
    assert read_entry(path, 3) == Entry(3, tuple(actions))


def test_a_version_is_made_once(place: Path) -> None:
    first, second = ({"commitInfo": {"operation": name}} for name in ("FIRST", "SECOND"))
    assert write_entry(place, 0, [first])
    assert not write_entry(place, 0, [second])
    assert read_entry(place, 0) == Entry(0, (first,))
    assert read_entry(place, 1) is None


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"{", b'{"add":{}}\n{"ad', b"[]\n", b"7\n", b"\xff\xfe"])
def test_a_torn_entry_is_an_error_that_names_it(place: Path, content: bytes) -> None:
    log.entry_path(place, 4).write_bytes(content)
    with pytest.raises(StorageError, match=r"00000000000000000004\.json.*torn"):
        read_entry(place, 4)


@pytest.mark.parametrize("name", ["plain.parquet", "a b.parquet", "50%.parquet", "a%20b.parquet", "ü#?.parquet"])
def test_other_engines_find_a_file_whatever_its_name(place: Path, name: str) -> None:
    file = place / name
    rows = pa.Table.from_pylist([{"plan_id": "p1"}], schema=PLANS.schema)
    pq.write_table(rows, file)
    added = log.add(file.name, file.stat(), file_statistics(file))
    assert write_entry(place, 0, [*log.create(PLANS, {"delta.appendOnly": "false"}), added])
    delta = DeltaTable(str(place))
    assert delta.to_pyarrow_table()["plan_id"].to_pylist() == ["p1"]
    assert pl.read_delta(str(place))["plan_id"].to_list() == ["p1"]
    assert write_entry(place, 1, [log.remove(file.name, file.stat().st_size)])
    assert DeltaTable(str(place)).file_uris() == []


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_declared_table_can_be_created_and_has_its_columns(place: Path, name: str) -> None:
    declared = BY_NAME[name]
    assert write_entry(place, 0, log.create(declared, {"delta.logRetentionDuration": "interval 3650 days"}))
    delta = DeltaTable(str(place))
    assert [f.name for f in delta.schema().fields] == list(declared.column_names)
    assert delta.metadata().name == name
    assert delta.metadata().configuration == {"delta.logRetentionDuration": "interval 3650 days"}


def test_application_transactions_and_operations_are_told_apart(place: Path) -> None:
    info = log.commit_info("WRITE", {"mode": "Append"}, {"lakehouse": {"outcome": "PENDING"}})
    assert write_entry(place, 0, [info, *log.create(PLANS, {}), log.application("land/b1", 7)])
    assert DeltaTable(str(place)).transaction_version("land/b1") == 7
    (entry,) = DeltaTable(str(place)).history()
    assert (entry["operation"], entry["lakehouse"]) == ("WRITE", {"outcome": "PENDING"})
    read = read_entry(place, 0)
    assert read is not None
    assert (read.info["engineInfo"], read.added, read.removed) == (log.ENGINE, (), ())
