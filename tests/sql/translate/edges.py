"""Tables of edge values: NULL, leap days, month ends, negatives, ties, zeros, mixed case and many alphabets."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


_MONEY = ("0.00", "1.25", "-1.25", "12.50", "-0.01", "100.00", "9999999.99", "2.50", "-2.50", None, "0.05", "12.50")
_DAYS = (
    "2024-02-29", "2024-01-31", "2023-12-31", "2024-01-01", "2024-03-31", "1969-12-31", "1900-01-01", "2024-12-30",
    "2021-01-03", None, "2199-12-31", "2024-02-29",
)  # fmt: skip
_MOMENTS = (
    "2024-02-29 12:34:56.789000", "2024-01-31 23:59:59.999999", "2023-12-31 00:00:00", "2024-01-01 00:00:00.000001",
    "2024-03-31 01:30:00", "1969-12-31 23:30:00", "1900-01-01 00:00:00", "2024-12-30 06:07:08", "2021-01-03 18:00:00",
    None, "2199-12-31 23:59:59", "2024-02-29 12:34:56.789000",
)  # fmt: skip
_TEXTS = (
    "Abc", "abc", "ABC", "", "  padded ", "straße ÄÖ", "a_c%", "back\\slash", "İstanbul ΑΣ", None, "\u00a0x\u3000",
    "O'Neill 小龍 💥",
)  # fmt: skip
_GROUPS = ("a", "a", "a", "b", "b", "b", "c", "c", None, None, "c", "a")
_INTEGERS = (0, 1, -1, 7, -7, 2, 2147483647, -2147483648, 3, None, 10, 7)
_BIGS = (0, 3, -3, 2, -2, 4, 9007199254740993, -9007199254740993, 5, None, 1, 3)
_DOUBLES = (0.0, 0.5, -0.5, 2.5, 3.5, -2.5, 1e10, 1e-7, 0.285, None, 1.0, 0.5)
_FLAGS = (True, False, None, True, False, True, True, False, None, None, True, True)


def _zoned(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None


EDGES = pa.table(
    {
        "id": pa.array(range(1, 13), pa.int32()),
        "g": pa.array(_GROUPS, pa.string()),
        "i": pa.array(_INTEGERS, pa.int32()),
        "b": pa.array(_BIGS, pa.int64()),
        "s": pa.array([None if b is None else b % 7 for b in _BIGS], pa.int16()),
        "d": pa.array([Decimal(m) if m else None for m in _MONEY], pa.decimal128(18, 2)),
        "w": pa.array([Decimal(m) if m else None for m in reversed(_MONEY)], pa.decimal128(38, 2)),
        "f": pa.array(_DOUBLES, pa.float64()),
        "v": pa.array(_TEXTS, pa.string()),
        "u": pa.array(list(reversed(_TEXTS)), pa.string()),
        "dt": pa.array([_day(d) for d in _DAYS], pa.date32()),
        "dt2": pa.array([_day(d) for d in reversed(_DAYS)], pa.date32()),
        "ts": pa.array([_moment(m) for m in _MOMENTS], pa.timestamp("us")),
        "tz": pa.array([_zoned(_moment(m)) for m in _MOMENTS], pa.timestamp("us", tz="UTC")),
        "tz2": pa.array([_zoned(_moment(m)) for m in reversed(_MOMENTS)], pa.timestamp("us", tz="UTC")),
        "bo": pa.array(_FLAGS, pa.bool_()),
    }
)
# Joined to EDGES by id and g; some of both find nobody.
OTHERS = pa.table(
    {
        "id": pa.array([1, 2, 2, 5, 20, None], pa.int32()),
        "g": pa.array(["a", "b", "a", None, "z", "c"], pa.string()),
        "price": pa.array(
            [Decimal(p) for p in ("1.25", "12.50", "0.00", "3.10", "7.00", "-1.25")], pa.decimal128(15, 2)
        ),
        "order": pa.array([1, 2, 3, 4, 5, 6], pa.int64()),
    }
)
NOBODY = EDGES.slice(0, 0)
TABLES = {"edges": EDGES, "silver.others": OTHERS, "nobody": NOBODY}
