"""Batches in Arrow IPC: columns in many types, and bytes nobody should trust."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.problems import Problem
from api.rows import Batch, as_text_table, check, check_typed, read_batch
from api.rows.rules import NAMES, TYPED
from lake.settings import PROJECT_ROOT

STREAM, FILE = "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"
MOMENT = datetime(2026, 1, 31, 9, 30, 0, 123456, UTC)
MANY = 10_000

_rows = [(f"t-{i}", "a-1", "m-1", "grocery", MOMENT.isoformat(), f"{i}.30", "EUR", "online") for i in range(5)]
GOOD: pa.Table = check(as_text_table(_rows)).rows


def stream(table: pa.Table, compression: str | None = None, chunk: int | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=chunk)
    return bytes(sink.getvalue())


def file(table: pa.Table, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=2)
    return bytes(sink.getvalue())


def read(table: pa.Table) -> Batch:
    return read_batch(STREAM, stream(table), max_rows=MANY)


def problem(body: bytes, content_type: str = STREAM, max_rows: int = MANY) -> Problem:
    with pytest.raises(Problem) as caught:
        read_batch(content_type, body, max_rows=max_rows)
    return caught.value


def good_or_refused(body: bytes, content_type: str) -> Batch | None:
    """None for a problem of any kind that blames the request."""
    try:
        return read_batch(content_type, body, max_rows=MANY)
    except Problem as refused:
        if refused.status not in (400, 413, 422):
            raise
        return None


def with_column(name: str, values: Any, table: pa.Table = GOOD) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def rules(batch: Batch) -> list[tuple[int, list[str]]]:
    return [(r.index, [e.rule for e in r.errors]) for r in batch.refused]


@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_rows_come_as_they_were_written(compression: str | None) -> None:
    for content_type, body in (
        (STREAM, stream(GOOD, compression)),
        (STREAM, stream(GOOD, compression, chunk=1)),
        (FILE, file(GOOD, compression)),
        (STREAM, stream(GOOD.select(list(reversed(NAMES))), compression)),
    ):
        batch = read_batch(content_type, body, max_rows=5)
        assert batch.rows == GOOD
        assert batch.rows.schema == TYPED
        assert (batch.indexes.tolist(), batch.refused, batch.received) == ([0, 1, 2, 3, 4], (), 5)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_text_may_have_any_type_of_text(kind: pa.DataType) -> None:
    for name in NAMES:
        if GOOD.schema.field(name).type == pa.string():
            assert read(with_column(name, GOOD.column(name).cast(kind))).rows == GOOD


def test_dictionaries_may_hold_more_than_is_used_and_null() -> None:
    values = pa.array(["spare", "grocery", None], pa.large_string())
    coded = pa.DictionaryArray.from_arrays(pa.array([1, 1, 2, None, 1], pa.uint16()), values)
    batch = read(with_column("category", coded))
    assert batch.rows.column("category").to_pylist() == ["grocery"] * 3
    assert rules(batch) == [(2, ["category_missing"]), (3, ["category_missing"])]
    assert json.loads(batch.refused[0].payload)["category"] is None


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "+05:30", "Europe/Berlin", "Nowhere/Atlantis"])
def test_moments_may_have_any_unit_and_zone(unit: str, zone: str) -> None:
    moment = MOMENT.replace(microsecond=0)
    ticks = int(moment.timestamp()) * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    batch = read(with_column("occurred_at", pa.array([ticks] * 5, pa.timestamp(unit, zone))))
    assert batch.rows.column("occurred_at").to_pylist() == [moment] * 5


def test_moments_out_of_reach_are_refused_row_by_row() -> None:
    for unit in ("s", "ms", "us", "ns"):
        ticks = pa.array([2**63 - 1, -(2**63), None, 0, 1], pa.int64()).view(pa.timestamp(unit, "UTC"))
        batch = read(with_column("occurred_at", ticks))
        found = dict(rules(batch))
        assert found[2] == ["occurred_at_missing"]
        assert 3 not in found
        assert all("occurred_at_out_of_range" in found[i] for i in (0, 1)) or unit == "ns"
    assert found[4] == ["occurred_at_too_precise"]
    assert json.loads(batch.refused[-1].payload)["occurred_at"] == "1970-01-01 00:00:00.000000001Z"


@pytest.mark.parametrize(
    "kind",
    [
        pa.decimal32(9, 2),
        pa.decimal64(18, 4),
        pa.decimal128(38, 10),
        pa.decimal256(76, 20),
        pa.decimal128(10, 0),
        pa.int8(),
        pa.uint64(),
        pa.int64(),
    ],
)
def test_amounts_may_have_any_exact_type(kind: pa.DataType) -> None:
    exact = [Decimal(10), Decimal(0), None, Decimal(120), Decimal(50)]
    given_values = exact if pa.types.is_decimal(kind) else [None if v is None else int(v) for v in exact]
    batch = read(with_column("amount", pa.array(given_values, kind)))
    assert batch.rows.column("amount").to_pylist() == [v for v in exact if v is not None]
    assert rules(batch) == [(2, ["amount_missing"])]


@pytest.mark.parametrize("scale", [-1, -(2**31), 2**31 - 1, 39])
def test_amounts_of_impossible_scales_are_no_amounts(scale: int) -> None:
    body = stream(with_column("amount", pa.array([Decimal(1)] * 5, pa.decimal128(38, 7))))
    written, wanted = (struct.pack("<ii", 38, value) for value in (7, scale))
    assert body.count(written) == 1
    found = problem(body.replace(written, wanted))
    assert [(e.pointer, e.rule) for e in found.errors] in ([("#/amount", "column_type")], [])


def test_amounts_that_do_not_fit_are_refused_row_by_row() -> None:
    values = [Decimal("1.005"), Decimal("1.500"), Decimal("-0.01"), Decimal("9999999999.99"), Decimal("1e40")]
    batch = read(with_column("amount", pa.array(values, pa.decimal256(60, 3))))
    assert batch.rows.column("amount").to_pylist() == [Decimal("1.50"), Decimal("9999999999.99")]
    assert rules(batch) == [
        (0, ["amount_too_precise"]),
        (2, ["amount_out_of_range"]),
        (4, ["amount_out_of_range"]),
    ]
    assert json.loads(batch.refused[0].payload)["amount"] == "1.005"
    batch = read(with_column("amount", pa.array([2**64 - 1, 0, 1, 2, 3], pa.uint64())))
    assert rules(batch) == [(0, ["amount_out_of_range"])]


def test_columns_are_named_when_they_are_not_a_rows() -> None:
    table = GOOD.drop_columns(["channel"]).append_column("chanel", GOOD.column("channel"))
    table = with_column("amount", pa.array([1.5] * 5), table)
    table = with_column("occurred_at", pa.array([0] * 5, pa.timestamp("us")), table)
    table = with_column("category", pa.array([b"x"] * 5), table)
    table = table.append_column("currency", GOOD.column("currency"))
    found = problem(stream(table))
    assert found.status == 422
    assert [(e.pointer, e.rule) for e in found.errors] == [
        ("#/category", "column_type"),
        ("#/occurred_at", "occurred_at_has_no_zone"),
        ("#/amount", "column_type"),
        ("#/currency", "duplicate_column"),
        ("#/channel", "missing_column"),
        ("#/chanel", "unknown_column"),
    ]
    assert (
        found.errors[2].detail
        == "The column is double; wanted: a decimal with a scale from 0 to its precision, or an integer."
    )


@pytest.mark.parametrize("kind", [pa.string(), pa.string_view(), pa.dictionary(pa.int8(), pa.large_string())])
def test_bad_rows_are_told_with_their_columns(kind: pa.DataType) -> None:
    table = with_column("currency", pa.array(["EUR", "E\0R", "EUR", "EUR", "x" * 300]).cast(kind))
    batch = read(table)
    assert rules(batch) == [
        (1, ["currency_unknown", "currency_has_nul"]),
        (4, ["currency_unknown", "currency_too_long"]),
    ]
    assert batch.refused[0].errors[0].pointer == "#/1/currency"
    assert json.loads(batch.refused[0].payload) == {
        **{name: str(GOOD.column(name)[1]) for name in NAMES},
        "occurred_at": "2026-01-31 09:30:00.123456Z",
        "currency": "E\0R",
    }


def test_repeats_inside_a_batch() -> None:
    table = with_column("transaction_id", pa.array(["t-0", "t-1", "t-0", "t-1", "t-0"]))
    table = with_column("amount", pa.array([Decimal("1.00")] * 3 + [Decimal("2.00")] + [Decimal("1.00")]), table)
    batch = read(table)
    assert batch.indexes.tolist() == [0, 1]
    assert batch.duplicates == ((2, 0), (4, 0))
    assert rules(batch) == [(3, ["transaction_id_conflict"])]


def test_limits() -> None:
    assert problem(stream(GOOD), max_rows=4).status == 413
    assert problem(stream(GOOD, chunk=1), max_rows=4).status == 413
    assert problem(stream(GOOD.schema.empty_table())).status == 422
    assert problem(stream(pa.concat_tables([GOOD] * 5_000), chunk=1), max_rows=10**6).status == 413


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_bomb_of_compressed_buffers_is_not_decompressed(compression: str) -> None:
    huge = with_column("category", pa.array(["x" * 60_000_000, *["a"] * 4]))
    body = stream(huge, compression)
    assert len(body) < 1_000_000
    assert problem(body).status == 413


@pytest.mark.parametrize("kind", ["view", "dictionary"])
def test_texts_that_rows_share_are_not_multiplied(kind: str) -> None:
    rows, long = 5_000, "x" * 2_000_000
    table = GOOD.take(pa.array(np.zeros(rows, np.int64)))
    if kind == "dictionary":
        shared: Any = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array([long]))
    else:
        one = pa.array([long], pa.string_view())
        _, views, data = one.buffers()
        shared = pa.Array.from_buffers(
            pa.string_view(), rows, [None, pa.py_buffer(views.to_pybytes()[:16] * rows), data]
        )
    assert problem(stream(with_column("category", shared, table))).status == 413


def test_text_that_is_not_utf8_is_refused() -> None:
    bad = pa.Array.from_buffers(pa.string(), 5, pa.array([b"\xff"] * 5, pa.binary()).buffers())
    assert problem(stream(with_column("category", bad))).status == 400


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (STREAM, b""),
        (STREAM, b"{}"),
        (STREAM, b"\xff\xff\xff\xff"),
        (STREAM, b"\xff\xff\xff\xff\xff\xff\xff\x7f"),
        (STREAM, stream(GOOD) + b"x"),
        (STREAM, stream(GOOD) + stream(GOOD)),
        (STREAM, file(GOOD)),
        (FILE, stream(GOOD)),
        (FILE, b"ARROW1"),
        (FILE, b"ARROW1ARROW1"),
        (FILE, file(GOOD)[:-1]),
    ],
)
def test_bytes_that_are_no_arrow(content_type: str, body: bytes) -> None:
    assert problem(body, content_type).status == 400


_bodies = [stream(GOOD), stream(GOOD, "zstd"), stream(GOOD, "lz4", chunk=2), file(GOOD), file(GOOD, "zstd")]
_bodies.append(stream(with_column("category", GOOD.column("category").dictionary_encode())))
_bodies.append(stream(with_column("category", GOOD.column("category").cast(pa.string_view()))))


@settings(max_examples=1_500, deadline=None)
@given(
    which=st.integers(0, len(_bodies) - 1),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
    cut=st.none() | st.integers(0, 10**6),
)
def test_flipped_and_cut_bytes_end_as_a_problem_or_as_good_rows(
    which: int, changes: Sequence[tuple[int, int]], cut: int | None
) -> None:
    body = bytearray(_bodies[which])
    for at, value in changes:
        body[at % len(body)] = value
    damaged = bytes(body if cut is None else body[: cut % len(body)])
    content_type = FILE if _bodies[which].startswith(b"ARROW1") else STREAM
    batch = good_or_refused(damaged, content_type)
    if batch is None:
        return
    batch.rows.validate(full=True)
    assert batch.rows.schema == TYPED
    assert batch.rows.num_rows + len(batch.refused) + len(batch.duplicates) == batch.received
    assert check_typed(batch.rows).refused == []


_IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from api.problems import Problem
from api.rows import read_batch
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    try:
        read_batch("application/vnd.apache.arrow.stream", Path(name).read_bytes(), max_rows=10_000)
    except Problem as problem:
        assert problem.status == 413, problem
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    huge = with_column("category", pa.array(["x" * 200_000_000, *["a"] * 4]))
    (tmp_path / "zstd").write_bytes(stream(huge, "zstd"))
    command = [sys.executable, "-c", _IN_LITTLE_MEMORY, str(tmp_path / "zstd")]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40
