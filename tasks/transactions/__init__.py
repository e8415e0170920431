"""Generated card transactions with known anomalies, and decoys just inside every boundary of the rules.

`economy` holds every parameter, `marks` what must fire and why, `injections` how it is laid into accounts and days.
"""

from __future__ import annotations

from tasks.transactions.generate import (
    SOURCE,
    TransactionsWritten,
    batch_id,
    generate_file,
    stage_transactions,
)

__all__ = ["SOURCE", "TransactionsWritten", "batch_id", "generate_file", "stage_transactions"]
