"""Arrays of integers as Arrow columns of the declared types, without a Python object per value."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa

from lake.table import MONEY, TEXT, TIMESTAMP
from lake.tables.anomalies import TRANSACTION_TRUTH
from lake.tables.bronze import TRANSACTIONS
from tasks.generation.draws import Array
from tasks.transactions import economy
from tasks.transactions.feed import Transactions
from tasks.transactions.marks import RULES, WHYS, truth

# Columns with few values, worth a dictionary in Parquet. Merchants are few beside their transactions.
TRANSACTION_CODES = ("merchant_id", "category", "currency", "channel")
TRUTH_CODES = ("rule", "why")

_CATEGORIES = tuple(c.name for c in economy.CATEGORIES)
_PAYLOAD = [c.name for c in TRANSACTIONS.payload]
_DIGITS_OF_A_GROUP = 4
_GROUP = 10**_DIGITS_OF_A_GROUP
_TRANSACTION_GROUPS = 3
_PARTY_GROUPS = 2


def transaction_columns(rows: Transactions) -> pa.RecordBatch:
    """The payload of bronze.transactions, codes as dictionary columns."""
    number = rows.first + np.arange(len(rows.account))
    columns = {
        "transaction_id": _identifiers("t", _TRANSACTION_GROUPS, number),
        "account_id": _identifiers("a", _PARTY_GROUPS, rows.account),
        "merchant_id": _identifiers("m", _PARTY_GROUPS, rows.merchant),
        "category": _codes(rows.category, _CATEGORIES),
        "occurred_at": pa.Array.from_buffers(TIMESTAMP, len(number), [None, pa.py_buffer(rows.occurred_at)]),
        "amount": _money(rows.cents),
        "currency": _codes(rows.currency, economy.CURRENCIES),
        "channel": _codes(rows.channel, economy.CHANNELS),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in _PAYLOAD], names=_PAYLOAD)


def truth_columns(rows: Transactions) -> pa.RecordBatch:
    """What the rows must fire, with the columns of audit.transaction_truth, codes as dictionary columns."""
    known = truth(rows.mark, rows.crowded_by)
    columns = {
        "transaction_id": _identifiers("t", _TRANSACTION_GROUPS, rows.first + known.row),
        "rule": _codes(known.rule, RULES),
        "why": _codes(known.why, WHYS),
    }
    names = list(TRANSACTION_TRUTH.column_names)
    return pa.RecordBatch.from_arrays([columns[name] for name in names], names=names)


def _codes(positions: Array, values: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(positions), _dictionary(values))


@cache
def _dictionary(values: tuple[str, ...]) -> pa.Array:
    return pa.array(values, TEXT)


def _money(cents: Array) -> pa.Array:
    """A decimal of 128 bits: the cents, then their sign."""
    data = np.stack((cents, cents >> 63), axis=1).astype("<i8", copy=False)
    return pa.Array.from_buffers(MONEY, len(cents), [None, pa.py_buffer(data)])


@cache
def _digits() -> Array:
    """The text of 0000 to 9999, four bytes in one integer each."""
    return np.frombuffer("".join(f"{n:04d}" for n in range(_GROUP)).encode(), "<u4")


def _identifiers(prefix: str, groups: int, numbers: Array) -> pa.Array:
    """One letter and zero-padded digits, four at a time."""
    layout = np.dtype([("prefix", "S1"), *((f"group{place}", "<u4") for place in range(groups))])
    text = np.empty(len(numbers), layout)
    text["prefix"] = prefix.encode()
    rest = numbers
    for place in reversed(range(groups)):
        higher = rest // _GROUP
        text[f"group{place}"] = _digits()[rest - higher * _GROUP]
        rest = higher
    offsets = np.arange(len(numbers) + 1, dtype="<i4") * np.int32(layout.itemsize)
    return pa.Array.from_buffers(TEXT, len(numbers), [None, pa.py_buffer(offsets), pa.py_buffer(text)])
