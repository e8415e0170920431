"""Rows as arrays of integers, and how those become Arrow columns of the declared types.

Inside the generator an identifier is a number, a code a position in `CODES`, money cents, a moment microseconds and a
date days. Integers are quick to draw, copy and break; text is made last, without a Python object per value.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pyarrow as pa

from lake.table import DATE, MONEY, TEXT, Column, Table
from tasks.generation import company
from tasks.generation.draws import Array

Rows = dict[str, Array]

CHANNEL_IDS = tuple(c.channel_id for c in company.CHANNELS)
PLAN_IDS = tuple(p.plan_id for p in company.PLANS)
EXPERIMENT_IDS = tuple(e.experiment_id for e in company.EXPERIMENTS)
EVENT_TYPES = ("page_view", "signup", "activation", "feature_use", "checkout", "purchase")
DEVICES = ("desktop", "mobile", "tablet")
END_REASONS = ("cancelled", "plan_change")
STATUSES = ("succeeded", "failed")
METHODS = ("card", "transfer", "wallet")
REASONS = ("dissatisfied", "mistake", "fraud")
PRIORITIES = ("low", "normal", "high", "urgent")
CATEGORIES = ("billing", "bug", "how_to", "account")
VARIANTS = ("control", "treatment")
NAMES = (*(f"{a} {b}" for a in company.FIRST_NAMES for b in company.LAST_NAMES), *company.AWKWARD_NAMES)

# Valid codes, and the one no silver rule knows.
_UNKNOWN = {
    "channel_id": (CHANNEL_IDS, "ch_unknown"),
    "country": (company.COUNTRIES, "ZZ"),
    "device": (DEVICES, "toaster"),
    "event_type": (EVENT_TYPES, "tap"),
    "plan_id": (PLAN_IDS, "plan_unknown"),
    "end_reason": (END_REASONS, "??"),
    "status": (STATUSES, "??"),
    "method": (METHODS, "barter"),
    "reason": (REASONS, "??"),
    "priority": (PRIORITIES, "whenever"),
    "category": (CATEGORIES, "??"),
    "variant": (VARIANTS, "placebo"),
}
CODES: dict[str, tuple[str, ...]] = {
    **{column: (*valid, unknown) for column, (valid, unknown) in _UNKNOWN.items()},
    "experiment_id": EXPERIMENT_IDS,
    "name": NAMES,
}

_DIGITS_OF_A_GROUP = 4
_GROUP = 10**_DIGITS_OF_A_GROUP
USER_ID_DIGITS = 8
ID_DIGITS = 12
# Letters before the digits of an identifier.
_PREFIXES = {
    "user_id": "u",
    "session_id": "s",
    "event_id": "e",
    "spend_id": "m",
    "subscription_id": "sub",
    "invoice_id": "i",
    "payment_id": "p",
    "refund_id": "r",
    "ticket_id": "t",
    "assignment_id": "xa",
    "exposure_id": "xe",
    "conversion_id": "xc",
}

Scalar = int | np.signedinteger


def null(column: Array) -> Scalar:
    """The value that stands for NULL: the smallest of the array's type."""
    return np.iinfo(column.dtype).min


NULL = int(np.iinfo(np.int64).min)
NULL_CODE = int(np.iinfo(np.int8).min)


def unknown_code(column: str) -> int:
    """Position of the code that no rule knows.

    Raises:
        KeyError: Every code of the column is valid.
    """
    return len(_UNKNOWN[column][0])


def nobody(column: str) -> int:
    """Value of a reference that leads nowhere: an unknown code, or the highest number, which is never given."""
    return unknown_code(column) if column in _UNKNOWN else int(10 ** _digits(column) - 1)


def to_arrow(table: Table, rows: Mapping[str, Array]) -> pa.RecordBatch:
    """Rows of a declared table, codes as dictionary columns; see `plain` for the declared types.

    Args:
        table: Bronze table.
        rows: One array of equal length for each payload column.
    """
    return pa.RecordBatch.from_arrays(
        [_column(column, rows[column.name]) for column in table.payload], names=[c.name for c in table.payload]
    )


def plain(table: Table, rows: pa.Table) -> pa.Table:
    """The same rows with exactly the declared types."""
    return rows.cast(pa.schema([pa.field(c.name, c.type) for c in table.payload]))


def code_columns(table: Table) -> list[str]:
    """Columns with few values, worth a dictionary."""
    return [c.name for c in table.payload if c.name in CODES]


def _column(column: Column, values: Array) -> pa.Array:
    missing = values == null(values)
    has_missing = bool(missing.any())
    if column.name in CODES:
        indices = pa.array(values, mask=missing if has_missing else None)
        return pa.DictionaryArray.from_arrays(indices, _dictionary(column.name))
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if has_missing else None
    kind = column.type
    if kind == TEXT:
        numbers = np.where(missing, 0, values) if has_missing else values
        offsets, data = identifiers(_PREFIXES[column.name], _digits(column.name), numbers)
        return pa.Array.from_buffers(TEXT, len(values), [valid, offsets, data])
    if kind == MONEY:
        return pa.Array.from_buffers(kind, len(values), [valid, money(values)])
    data = values.astype("<i4" if kind == DATE else "<i8", copy=False)
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(np.ascontiguousarray(data))])


@cache
def _dictionary(column: str) -> pa.Array:
    return pa.array(CODES[column], TEXT)


def _digits(column: str) -> int:
    return USER_ID_DIGITS if column == "user_id" else ID_DIGITS


@cache
def _groups() -> Array:
    """The text of 0000 to 9999, four bytes in one integer each."""
    return np.frombuffer("".join(f"{n:04d}" for n in range(_GROUP)).encode(), "<u4")


def identifiers(prefix: str, digits: int, numbers: Array) -> tuple[pa.Buffer, pa.Buffer]:
    """Offsets and bytes of a prefix and zero-padded numbers; digits are laid four at a time."""
    groups = digits // _DIGITS_OF_A_GROUP
    layout = np.dtype([("prefix", f"S{len(prefix)}"), *((f"group{i}", "<u4") for i in range(groups))])
    text = np.empty(len(numbers), layout)
    text["prefix"] = prefix.encode()
    rest = numbers
    for i in reversed(range(groups)):
        higher = rest // _GROUP
        text[f"group{i}"] = _groups()[rest - higher * _GROUP]
        rest = higher
    offsets = np.arange(len(numbers) + 1, dtype="<i4") * np.int32(layout.itemsize)
    return pa.py_buffer(offsets), pa.py_buffer(text)


def money(cents: Array) -> pa.Buffer:
    """Decimals of 128 bits: the cents, then their sign."""
    return pa.py_buffer(np.stack((cents, cents >> 63), axis=1).astype("<i8", copy=False))
