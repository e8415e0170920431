"""Which rows may enter the lake: the strict reading that files get, and what silver would refuse, at the door.

A batch in which every row is good, the usual case, is judged column by column without touching a row; only a batch with
a bad row is judged rule by rule. Both readings are held to landing's and silver's SQL by tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from api.problems import FieldError
from api.rows.rules import AS_TEXT, COLUMNS, MAX_TEXT_CHARS, TYPED, broken
from api.rows.value_rules import (
    BEHIND_US,
    CHANNELS,
    CURRENCY,
    FIRST_US,
    MAX_AMOUNT,
    REAL_DAY,
    SPACES,
    Rule,
    amount_rules,
    cut_to_microseconds,
    microseconds,
    moment_rules,
    text_rules,
    typed_amount_rules,
    typed_moment_rules,
    without_leading_zeros,
)
from lake.table import MONEY, TEXT, TIMESTAMP
from lake.text_types import CLOCK, ZONE

Positions = npt.NDArray[np.int64]
Columns = dict[str, Any]

_TEXTS = tuple(column.name for column in COLUMNS if column.type == TEXT)
# As nearly everybody writes them; the casts behind these patterns cannot fail.
_USUAL_TIME = f"^{REAL_DAY}[T ]{CLOCK}{ZONE}$".replace(r"\.\d+", r"\.\d{1,6}")
_USUAL_AMOUNT = r"^\d{1,10}(?:\.\d{1,2})?$"


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows told apart.

    Args:
        rows: The good ones, with the declared types, in their order.
        kept: Their positions in what was checked, ascending.
        refused: Position and errors of each other row, ascending; pointers are those inside one row (``#/amount``).
    """

    rows: pa.Table
    kept: Positions
    refused: list[tuple[int, tuple[FieldError, ...]]]


def check(rows: pa.Table) -> Checked:
    """Judge rows as text and give the good ones their types; values stay as received.

    Args:
        rows: The payload columns of bronze.transactions as strings, in declared order.
    """
    columns = _columns(rows)
    rules = _rules_of_texts(columns)
    moments, amounts = columns["occurred_at"], columns["amount"]
    typed_moments, typed_amounts = _usual_moments(moments), _usual_amounts(amounts)
    if typed_moments is None:
        rules += moment_rules(moments)
    if typed_amounts is None:
        rules += amount_rules(amounts)
    columns["occurred_at"] = moments if typed_moments is None else typed_moments
    columns["amount"] = amounts if typed_amounts is None else typed_amounts
    return _judged(columns, rules) if rules else _all_of(columns)


def check_typed(rows: pa.Table, known: Sequence[Rule] = ()) -> Checked:
    """Judge rows that have the declared types already.

    Args:
        rows: The payload columns of bronze.transactions with their types, in declared order, validated in full.
        known: Rules found broken on the way to these types.
    """
    columns = _columns(rows)
    rules = [*known, *_rules_of_texts(columns)]
    if not _within_years(columns["occurred_at"]):
        rules += typed_moment_rules(columns["occurred_at"])
    if not _within_amounts(columns["amount"]):
        rules += typed_amount_rules(columns["amount"])
    return _judged(columns, rules) if rules else _all_of(columns)


def _columns(rows: pa.Table) -> Columns:
    return {c.name: _whole(rows.column(i)) for i, c in enumerate(COLUMNS)}


def _whole(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _all_of(columns: Columns) -> Checked:
    rows = pa.Table.from_arrays(list(columns.values()), schema=TYPED)
    return Checked(rows, np.arange(rows.num_rows, dtype=np.int64), [])


def _rules_of_texts(columns: Columns) -> list[Rule]:
    """The rules of every text column that is not good at first sight."""
    return [rule for name in _TEXTS if not _is_good(name, columns[name]) for rule in text_rules(name, columns[name])]


def _is_good(name: str, texts: Any) -> bool:
    if not _is_plain(texts):
        return False
    if name == "category":
        return _shortest(pc.utf8_trim(pc.unique(texts), characters=SPACES)) > 0
    if name == "currency":
        return _all_match(pc.unique(texts), CURRENCY)
    return name != "channel" or CHANNELS.issuperset(pc.unique(texts).to_pylist())


def _shortest(texts: Any) -> int:
    """Bytes of the shortest text; 1 when there is none."""
    least = pc.min(pc.binary_length(texts)).as_py()
    return 1 if least is None else int(least)


def _all_match(texts: Any, pattern: str) -> bool:
    return texts.null_count == 0 and bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())


def _usual_moments(moments: Any) -> Any | None:
    """Moments with their type when each is written as usual and within the years; else None."""
    if not _all_match(moments, _USUAL_TIME):
        return None
    typed = pc.cast(moments, TIMESTAMP)
    return typed if _within_years(typed) else None


def _usual_amounts(amounts: Any) -> Any | None:
    """Amounts with their type when each is written as usual, which keeps them in range; else None."""
    return pc.cast(amounts, MONEY) if _all_match(amounts, _USUAL_AMOUNT) else None


def _is_plain(texts: Any) -> bool:
    """Whether no text is NULL, empty, long or holds NUL, from the column's buffers alone."""
    if texts.null_count:
        return False
    count = len(texts)
    if not count:
        return True
    _, offsets, values = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + count + 1]
    lengths = np.diff(ends)
    if lengths.min() == 0 or lengths.max() > MAX_TEXT_CHARS:
        return False
    return bool(np.frombuffer(values, np.uint8)[ends[0] : ends[-1]].all())


def _within_years(moments: Any) -> bool:
    if moments.null_count:
        return False
    us = microseconds(moments)
    return not len(us) or bool(us.min() >= FIRST_US and us.max() < BEHIND_US)


def _within_amounts(amounts: Any) -> bool:
    if amounts.null_count:
        return False
    extremes = pc.min_max(amounts).as_py()
    return extremes["min"] is None or bool(extremes["min"] >= 0 and extremes["max"] <= MAX_AMOUNT)


def _judged(columns: Columns, rules: list[Rule]) -> Checked:
    count = len(columns["amount"])
    order = {column.name: i for i, column in enumerate(COLUMNS)}
    found: dict[int, list[FieldError]] = {}
    for name, key, mask in sorted(rules, key=lambda rule: order[rule[0]]):
        error = broken(name, key)
        for position in np.flatnonzero(mask).tolist():
            found.setdefault(position, []).append(error)
    good = np.ones(count, np.bool_)
    good[list(found)] = False
    kept = np.flatnonzero(good).astype(np.int64, copy=False)
    positions = pa.array(kept)
    rows = [_typed(c.name, pc.take(columns[c.name], positions)) for c in COLUMNS]
    refused = [(position, tuple(found[position])) for position in sorted(found)]
    return Checked(pa.Table.from_arrays(rows, schema=TYPED), kept, refused)


def _typed(name: str, values: Any) -> Any:
    """Good text with its type; what has its type already is left alone."""
    if name == "occurred_at" and pa.types.is_string(values.type):
        return pc.cast(cut_to_microseconds(values), TIMESTAMP)
    if name == "amount" and pa.types.is_string(values.type):
        return pc.cast(without_leading_zeros(values), MONEY)
    return values


def as_text_table(rows: Sequence[Sequence[str | None]]) -> pa.Table:
    """Rows as `api.rows.row.read_row` gives them, in one table for `check`."""
    columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
    return pa.Table.from_arrays([pa.array(values, TEXT) for values in columns], schema=AS_TEXT)
