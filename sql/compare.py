"""Comparing what two engines made of the same SELECT, row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

# Relative. Sums of doubles differ in their last bits with the order of rows, which no engine promises.
FLOAT_TOLERANCE = 1e-9
# Enough to see a pattern, few enough for a terminal.
MAX_SHOWN = 5
_SIDE = "_side"


@dataclass(frozen=True, slots=True)
class Difference:
    """How two results differ.

    Args:
        reason: In a sentence.
        rows: The first rows that differ: key, column and both values; or rows only one side has.
    """

    reason: str
    rows: tuple[dict[str, Any], ...] = ()


def difference(left: pa.Table, right: pa.Table, key: Sequence[str], *, ordered: bool = False) -> Difference | None:
    """The difference of two results with the same columns; None when they are equal.

    Everything but floats must be equal exactly, NULL to NULL; floats within `FLOAT_TOLERANCE`, NaN to NaN.

    Args:
        left: The reference.
        right: What is compared with it.
        key: Columns that name a row; when they do not, equal rows are counted.
        ordered: Whether the order of rows counts.
    """
    ours, theirs = _frame(left), _frame(right)
    if ours.columns != theirs.columns or ours.dtypes != theirs.dtypes:
        return Difference(f"columns differ: {dict(ours.schema)} and {dict(theirs.schema)}")
    if ours.height != theirs.height:
        return Difference(f"{ours.height} and {theirs.height} rows", _one_sided(ours, theirs, key))
    if not ordered:
        order = [*key, *(c for c in _exact(ours) if c not in key), *(c for c in ours.columns if c not in _exact(ours))]
        ours, theirs = ours.sort(order, nulls_last=True), theirs.sort(order, nulls_last=True)
    for column in ours.columns:
        wrong = ~_equal(ours[column], theirs[column])
        if wrong.any():
            shown = ours.select(key).with_columns(
                pl.lit(column).alias("column"), ours[column].alias("left"), theirs[column].alias("right")
            )
            rows = shown.filter(wrong).head(MAX_SHOWN).to_dicts()
            return Difference(f"{column} differs in {wrong.sum()} of {ours.height} rows", tuple(rows))
    return None


def result_hash(rows: pa.Table) -> str:
    """SHA-256 over the columns that must be equal exactly, whatever the order of rows; floats are left out."""
    frame = _frame(rows)
    exact = frame.select(_exact(frame))
    texts = exact.select(
        pl.concat_str(
            # A value cannot contain the separators, as its own are escaped by JSON.
            [pl.struct(pl.col(c).cast(pl.String).alias("")).struct.json_encode() for c in exact.columns],
            separator="|",
        ).alias("row")
    )["row"].sort()
    return hashlib.sha256("\n".join(texts.to_list()).encode()).hexdigest()


def _frame(rows: pa.Table) -> pl.DataFrame:
    frame = pl.DataFrame(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _exact(frame: pl.DataFrame) -> list[str]:
    return [name for name, kind in frame.schema.items() if not kind.is_float()]


def _equal(left: pl.Series, right: pl.Series) -> pl.Series:
    same = left.eq_missing(right)
    if left.dtype.is_float():
        one, other = pl.col("left"), pl.col("right")
        # Infinities are equal above or not at all; no distance between them means anything.
        near = (one.is_finite() & other.is_finite()) & (
            (one - other).abs() <= FLOAT_TOLERANCE * pl.max_horizontal(one.abs(), other.abs())
        )
        sides = pl.DataFrame({"left": left, "right": right})
        same |= sides.select(near.fill_null(value=False)).to_series()
    return same


def _one_sided(left: pl.DataFrame, right: pl.DataFrame, key: Sequence[str]) -> tuple[dict[str, Any], ...]:
    only = [
        one.join(other, on=list(key), how="anti", nulls_equal=True).with_columns(pl.lit(side).alias(_SIDE))
        for side, one, other in (("left only", left, right), ("right only", right, left))
    ]
    return tuple(pl.concat(only).head(MAX_SHOWN).to_dicts())
