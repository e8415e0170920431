"""What is known of every account, merchant and category before a single transaction is judged.

One row per account is small enough to be sent to every worker, so that the transactions themselves are neither
shuffled nor sorted: only those that may fire a rule go further.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from lake.rules import AmountMethod, AnomalyRules
from spark.detection.amounts import candidate_cents
from spark.detection.exact import MICROS_PER_DAY, MICROS_PER_SECOND, Sums, cents_of, day_of

ACCOUNT, PEERS = Sums.named("account"), Sums.named("peers")


def with_whole_numbers(transactions: DataFrame) -> DataFrame:
    """Adds `micros` (of `occurred_at`, UTC), its `day` and `cents`."""
    rows = transactions.withColumns({"micros": f.unix_micros("occurred_at"), "cents": cents_of(f.col("amount"))})
    return rows.withColumn("day", day_of(f.col("micros")))


def account_profiles(rows: DataFrame, rules: AnomalyRules) -> DataFrame:
    """One row per account: sums of its amounts, its days, and the first and last of those that are busy.

    Only on a busy day may frequency fire, or velocity, except that a window may run over midnight.
    """
    busy = f.col("_count") >= min(rules.velocity_count + 1, rules.frequency_min_count)
    days = rows.groupBy("account_id", "day").agg(*ACCOUNT.over_rows(f.col("cents")), f.max("cents").alias("largest"))
    days = days.withColumn("_count", f.col(ACCOUNT.count))
    profiles = days.groupBy("account_id").agg(
        *ACCOUNT.over_parts(),
        f.max("largest").alias("largest_cents"),
        f.count(f.lit(1)).alias("active_days"),
        f.min("day").alias("first_day"),
        f.max("day").alias("last_day"),
        f.sum(f.col("_count") * f.col("_count")).alias("day_squares"),
        f.min(f.when(busy, f.col("day"))).alias("first_busy_day"),
        f.max(f.when(busy, f.col("day"))).alias("last_busy_day"),
    )
    if rules.amount_method is AmountMethod.MAD:
        profiles = profiles.join(_medians(rows, "account_id", ACCOUNT), "account_id")
    return profiles


def merchant_profiles(rows: DataFrame) -> DataFrame:
    """One row per merchant and category: sums of amounts."""
    return rows.groupBy("merchant_id", "category").agg(*PEERS.over_rows(f.col("cents")))


def peer_profiles(rows: DataFrame, merchants: DataFrame, rules: AnomalyRules) -> DataFrame:
    """One row per category: sums of amounts."""
    peers = merchants.groupBy("category").agg(*PEERS.over_parts())
    if rules.amount_method is AmountMethod.MAD:
        peers = peers.join(_medians(rows, "category", PEERS), "category")
    return peers


def candidate_limits(accounts: DataFrame, peers: DataFrame, rules: AnomalyRules) -> DataFrame:
    """One row per account: `account_id`, `limit_cents` that an amount needs to be looked at, and its busy days.

    An account that is compared with its peers takes the lowest limit of all categories.
    """
    lowest = peers.agg(f.min(candidate_cents(PEERS, rules)).alias("_lowest"))
    own = f.when(f.col(ACCOUNT.count) > rules.min_history, candidate_cents(ACCOUNT, rules)).otherwise(f.col("_lowest"))
    limits = accounts.crossJoin(f.broadcast(lowest))
    return limits.select("account_id", own.alias("limit_cents"), "first_busy_day", "last_busy_day")


def may_form_a_burst(rules: AnomalyRules) -> Column:
    """Whether a row lies among busy days, or may be in a velocity window over midnight or in the one before that."""
    reach = 2 * rules.velocity_window_s * MICROS_PER_SECOND
    since_midnight = f.pmod(f.col("micros"), f.lit(MICROS_PER_DAY))
    around_midnight = (since_midnight < reach) | (since_midnight >= MICROS_PER_DAY - reach)
    among_busy_days = f.col("day").between(f.col("first_busy_day"), f.col("last_busy_day"))
    return f.coalesce(among_busy_days, f.lit(False)) | around_midnight


def _medians(rows: DataFrame, group: str, sums: Sums) -> DataFrame:
    """Median of cents, and median of the distances from it, per group."""
    medians = rows.groupBy(group).agg(f.median("cents").alias(sums.median))
    distance = f.abs(f.col("cents") - f.col(sums.median))
    spreads = rows.join(medians, group).groupBy(group).agg(f.median(distance).alias(sums.mad))
    return medians.join(spreads, group)
