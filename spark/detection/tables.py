"""The gold tables of detection, computed in the order in which one needs the other and stored as they come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from lake.rules import AnomalyRules
from spark.detection.anomalies import Keep, detect, profile
from spark.detection.summaries import account_summary, daily_summary, merchant_summary

ANOMALIES_TABLE = "transaction_anomalies"


@dataclass(frozen=True)
class Stamp:
    """Who judged, when, and what: stored with every row.

    Args:
        detected_at: Time-zone-aware moment the run began.
        run_id: Of the run.
        source_version: Version of the table of transactions.
    """

    detected_at: datetime
    run_id: str
    source_version: int


def store_tables(transactions: DataFrame, rules: AnomalyRules, stamp: Stamp, keep: Keep, store: Keep) -> None:
    """Compute every gold table of detection.

    Args:
        transactions: Columns of silver.transactions.
        rules: Thresholds.
        stamp: Put on every row.
        keep: Stores what later steps read again, such as the profiles.
        store: Stores a gold table under its name.
    """
    known = profile(transactions, rules, keep)
    found = store(_stamped(detect(transactions, rules, known), stamp), ANOMALIES_TABLE)
    summaries = {
        "daily_transaction_summary": daily_summary(transactions, found),
        "merchant_summary": merchant_summary(known.merchants, found),
        "account_summary": account_summary(known.accounts, found),
    }
    for name, frame in summaries.items():
        store(_stamped(frame, stamp), name)


def _stamped(frame: DataFrame, stamp: Stamp) -> DataFrame:
    return frame.withColumns(
        {
            "detected_at": f.lit(stamp.detected_at.isoformat()).cast("timestamp"),
            "run_id": f.lit(stamp.run_id),
            "source_version": f.lit(stamp.source_version).cast("bigint"),
        }
    )
