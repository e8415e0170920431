"""File statistics bound the values they speak of, whatever the values are."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from lake.parquet_stats import file_statistics
from lake.table import MONEY, TIMESTAMP

SCHEMA = pa.schema([("n", pa.int64()), ("t", pa.string()), ("at", TIMESTAMP), ("day", pa.date32()), ("money", MONEY)])
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
ROWS = st.lists(
    st.fixed_dictionaries({
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "t": st.none() | st.text(st.characters(codec="utf-8"), max_size=40),
        "at": st.none() | MOMENTS,
        "day": st.none() | st.dates(date(1, 1, 1)),
        "money": st.none() | st.decimals(-1000, 1000, places=2),
    }),
    min_size=1,
    max_size=12,
)  # fmt: skip


@given(rows=ROWS)
def test_bounds_hold_every_value_and_nulls_are_counted(rows: list[dict[str, object]], tmp_path_factory: object) -> None:
    file = Path(tmp_path_factory.mktemp("stats")) / "rows.parquet"  # type: ignore[attr-defined]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file, row_group_size=5)
    statistics = json.loads(file_statistics(file))
    assert statistics["numRecords"] == len(rows)
    for name, count in statistics["nullCount"].items():
        assert count == sum(row[name] is None for row in rows)
    for name, low in statistics["minValues"].items():
        values = [_plain(row[name]) for row in rows if row[name] is not None]
        assert low == min(values, key=_order)
        assert statistics["maxValues"][name] == max(values, key=_order)
    assert "money" not in statistics["minValues"], "JSON numbers would round decimals"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value.year:04d}" + value.strftime("-%m-%dT%H:%M:%S.%f") + "Z"
    return value.isoformat() if isinstance(value, date) else value


def _order(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value
