"""Every declared table, in one visible list per layer."""

from __future__ import annotations

import difflib

from lake.errors import BadInputError
from lake.table import Layer, Table
from lake.tables.anomalies import ANOMALIES, TRANSACTION_TRUTH
from lake.tables.bronze import BRONZE
from lake.tables.bronze import COMPANY as COMPANY_BRONZE
from lake.tables.bronze import TRANSACTIONS as BRONZE_TRANSACTIONS
from lake.tables.gold import MARTS
from lake.tables.platform import AUDIT as PLATFORM_AUDIT
from lake.tables.platform import quarantine_of
from lake.tables.silver import COMPANY as COMPANY_SILVER
from lake.tables.silver import SILVER
from lake.tables.silver import TRANSACTIONS as SILVER_TRANSACTIONS

# MARTS are built by SQL models, ANOMALIES by the Spark job.
GOLD = (*MARTS, *ANOMALIES)
AUDIT = (*PLATFORM_AUDIT, TRANSACTION_TRUTH)
# What a flow builds together: the medallion flow the company, the transactions flow the transactions.
COMPANY = (*COMPANY_BRONZE, *COMPANY_SILVER, *MARTS)
TRANSACTIONS = (BRONZE_TRANSACTIONS, SILVER_TRANSACTIONS, *ANOMALIES)

QUARANTINE = tuple(quarantine_of(table) for table in (*BRONZE, *SILVER))

BY_NAME: dict[str, Table] = {table.full_name: table for table in (*BRONZE, *SILVER, *GOLD, *QUARANTINE, *AUDIT)}


def table(full_name: str) -> Table:
    """The declared table of that name, such as ``silver.users``.

    Raises:
        BadInputError: No such table; the message lists near names.
    """
    try:
        return BY_NAME[full_name]
    except KeyError:
        near = difflib.get_close_matches(full_name, BY_NAME, n=3, cutoff=0.4)
        raise BadInputError(
            f"there is no table {full_name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""),
            mend="list them with: ./lakehouse tables",
        ) from None


__all__ = [
    "ANOMALIES",
    "AUDIT",
    "BRONZE",
    "BRONZE_TRANSACTIONS",
    "BY_NAME",
    "COMPANY",
    "COMPANY_BRONZE",
    "COMPANY_SILVER",
    "GOLD",
    "MARTS",
    "QUARANTINE",
    "SILVER",
    "SILVER_TRANSACTIONS",
    "TRANSACTIONS",
    "Layer",
    "Table",
    "quarantine_of",
    "table",
]
