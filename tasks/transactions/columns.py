"""Arrays of integers as Arrow columns of the declared types, without a Python object per value."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa

from lake.table import MONEY, TEXT, TIMESTAMP
from lake.tables.anomalies import TRANSACTION_TRUTH
from lake.tables.bronze import TRANSACTIONS
from tasks.generation.columns import identifiers, money
from tasks.generation.draws import Array
from tasks.transactions import economy
from tasks.transactions.feed import Transactions
from tasks.transactions.marks import RULES, WHYS, truth

# Columns with few values, worth a dictionary in Parquet. Merchants are few beside their transactions.
TRANSACTION_CODES = ("merchant_id", "category", "currency", "channel")
TRUTH_CODES = ("rule", "why")

_CATEGORIES = tuple(c.name for c in economy.CATEGORIES)
_PAYLOAD = [c.name for c in TRANSACTIONS.payload]
_TRANSACTION_DIGITS = 12
_PARTY_DIGITS = 8


def transaction_columns(rows: Transactions) -> pa.RecordBatch:
    """The payload of bronze.transactions, codes as dictionary columns."""
    number = rows.first + np.arange(len(rows.account))
    columns = {
        "transaction_id": _identifiers("t", _TRANSACTION_DIGITS, number),
        "account_id": _identifiers("a", _PARTY_DIGITS, rows.account),
        "merchant_id": _identifiers("m", _PARTY_DIGITS, rows.merchant),
        "category": _codes(rows.category, _CATEGORIES),
        "occurred_at": pa.Array.from_buffers(TIMESTAMP, len(number), [None, pa.py_buffer(rows.occurred_at)]),
        "amount": pa.Array.from_buffers(MONEY, len(number), [None, money(rows.cents)]),
        "currency": _codes(rows.currency, economy.CURRENCIES),
        "channel": _codes(rows.channel, economy.CHANNELS),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in _PAYLOAD], names=_PAYLOAD)


def truth_columns(rows: Transactions) -> pa.RecordBatch:
    """What the rows must fire, with the columns of audit.transaction_truth, codes as dictionary columns."""
    known = truth(rows.mark, rows.crowded_by)
    columns = {
        "transaction_id": _identifiers("t", _TRANSACTION_DIGITS, rows.first + known.row),
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


def _identifiers(prefix: str, digits: int, numbers: Array) -> pa.Array:
    return pa.Array.from_buffers(TEXT, len(numbers), [None, *identifiers(prefix, digits, numbers)])
