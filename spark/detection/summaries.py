"""Summaries per day, merchant and account, from the profiles and the anomalies found."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from lake.rules import Rule
from spark.detection.exact import cents_of, date_of, day_of, money_of
from spark.detection.profiles import ACCOUNT, PEERS, with_whole_numbers


def daily_summary(transactions: DataFrame, anomalies: DataFrame) -> DataFrame:
    """One row per UTC day: columns of gold.daily_transaction_summary before the stamp."""
    rows = with_whole_numbers(transactions.select("occurred_at", "amount"))
    days = rows.groupBy("day").agg(f.count(f.lit(1)).alias("transactions"), f.sum("cents").alias("cents"))
    by_rule = [f.sum(f.array_contains("rules", rule.value).cast("bigint")).alias(rule.value) for rule in Rule]
    found = _fired(anomalies).withColumn("day", day_of(f.unix_micros("occurred_at")))
    totals = found.groupBy("day").agg(*_totals(), *by_rule)
    joined = days.join(f.broadcast(totals), "day", "left")
    return joined.select(
        date_of(f.col("day")).alias("transaction_date"),
        "transactions",
        money_of(f.col("cents")).alias("amount"),
        *_or_zero("anomalies"),
        money_of(f.coalesce("anomalous_cents", f.lit(0))).alias("anomalous_amount"),
        *_or_zero(*(rule.value for rule in Rule)),
    )


def merchant_summary(merchants: DataFrame, anomalies: DataFrame) -> DataFrame:
    """One row per merchant: columns of gold.merchant_summary before the stamp."""
    all_rows = merchants.groupBy("merchant_id").agg(
        f.sum(PEERS.count).alias("transactions"), f.sum(PEERS.cents).alias("cents")
    )
    found = _fired(anomalies).groupBy("merchant_id").agg(*_totals())
    joined = all_rows.join(f.broadcast(found), "merchant_id", "left")
    return joined.select(
        "merchant_id",
        "transactions",
        money_of(f.col("cents")).alias("amount"),
        *_or_zero("anomalies"),
        money_of(f.coalesce("anomalous_cents", f.lit(0))).alias("anomalous_amount"),
        (f.coalesce("anomalies", f.lit(0)) / f.col("transactions")).alias("anomaly_rate"),
    )


def account_summary(accounts: DataFrame, anomalies: DataFrame) -> DataFrame:
    """One row per account: columns of gold.account_summary before the stamp."""
    found = _fired(anomalies).groupBy("account_id")
    totals = found.agg(f.count(f.lit(1)).alias("anomalies"), f.max("score").alias("highest_score"))
    joined = accounts.join(f.broadcast(totals), "account_id", "left")
    return joined.select(
        "account_id",
        f.col(ACCOUNT.count).alias("transactions"),
        "active_days",
        date_of(f.col("first_day")).alias("first_date"),
        date_of(f.col("last_day")).alias("last_date"),
        money_of(f.col(ACCOUNT.cents)).alias("amount"),
        money_of(f.col("largest_cents"), "decimal(18,2)").alias("largest_amount"),
        *_or_zero("anomalies"),
        f.coalesce("highest_score", f.lit(0.0)).alias("highest_score"),
    )


def _fired(anomalies: DataFrame) -> DataFrame:
    """Without the members of bursts that fired nothing."""
    return anomalies.where(f.size("rules") > 0)


def _totals() -> list[Column]:
    cents = f.sum(cents_of(f.col("amount")))
    return [f.count(f.lit(1)).alias("anomalies"), cents.alias("anomalous_cents")]


def _or_zero(*names: str) -> list[Column]:
    return [f.coalesce(name, f.lit(0)).cast("bigint").alias(name) for name in names]
