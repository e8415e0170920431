"""Comparing results: exact for all but floats, NULL only to NULL, and the first difference is shown."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.table import MONEY, TIMESTAMP
from sql.compare import difference, result_hash

SCHEMA = pa.schema([
    ("k", pa.string()), ("n", pa.int64()), ("x", pa.float64()), ("money", MONEY), ("at", TIMESTAMP),
    ("day", pa.date32()), ("flag", pa.bool_()),
])  # fmt: skip
ROW = {
    "k": "a", "n": 1, "x": 1.0, "money": Decimal("1.10"), "at": datetime(2024, 2, 29, tzinfo=UTC),
    "day": date(2024, 2, 29), "flag": True,
}  # fmt: skip


def rows(*changes: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{**ROW, **change} for change in changes], schema=SCHEMA)


@pytest.mark.parametrize(
    ("column", "other"),
    [
        ("k", "A"), ("k", None), ("k", ""), ("n", 2), ("n", None), ("x", 1.00000001), ("x", None), ("x", float("nan")),
        ("x", float("inf")), ("money", Decimal("1.11")), ("at", datetime(2024, 2, 29, 0, 0, 0, 1, tzinfo=UTC)),
        ("day", date(2024, 3, 1)), ("flag", False), ("flag", None),
    ],
)  # fmt: skip
def test_any_other_value_is_a_difference_that_names_its_column(column: str, other: Any) -> None:
    for left, right in ((rows({}), rows({column: other})), (rows({column: other}), rows({}))):
        found = difference(left, right, ["k"])
        assert found is not None
        assert column in found.reason
        assert found.rows


@pytest.mark.parametrize("value", [0.0, -0.0, 1e300, float("nan"), float("inf"), float("-inf"), None])
def test_a_float_equals_itself(value: float | None) -> None:
    assert difference(rows({"x": value}), rows({"x": value}), ["k"]) is None


def test_floats_may_differ_in_their_last_bits() -> None:
    assert difference(rows({"x": 0.1 + 0.2}), rows({"x": 0.3}), ["k"]) is None
    assert difference(rows({"x": 1e-30}), rows({"x": 0.0}), ["k"]) is not None


def test_order_counts_only_when_asked() -> None:
    left, right = rows({"k": "a"}, {"k": "b"}), rows({"k": "b"}, {"k": "a"})
    assert difference(left, right, ["k"]) is None
    assert difference(left, right, ["k"], ordered=True) is not None
    assert result_hash(left) == result_hash(right)


def test_rows_that_only_one_side_has_are_shown() -> None:
    found = difference(rows({"k": "a"}, {"k": "b"}), rows({"k": "a"}), ["k"])
    assert found is not None
    assert found.reason == "2 and 1 rows"
    assert [r["k"] for r in found.rows] == ["b"]


def test_equal_rows_are_counted() -> None:
    assert difference(rows({}, {}, {"n": 2}), rows({}, {"n": 2}, {"n": 2}), ["k"]) is not None


ROWS = st.lists(
    st.fixed_dictionaries({
        "k": st.none() | st.text(max_size=3), "n": st.none() | st.integers(-3, 3), "flag": st.none() | st.booleans(),
    }),
    max_size=6,
)  # fmt: skip


@given(left=ROWS, right=ROWS)
def test_equal_means_equal_as_multisets_and_hashes_agree(
    left: list[dict[str, Any]], right: list[dict[str, Any]]
) -> None:
    def counted(some: list[dict[str, Any]]) -> list[str]:
        return sorted(repr(sorted(row.items())) for row in some)

    same = counted(left) == counted(right)
    one, other = rows(*left), rows(*right)
    assert (difference(one, other, ["k"]) is None) == same
    assert (result_hash(one) == result_hash(other)) == same
