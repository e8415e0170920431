"""velocity: more than so many transactions of an account in a minute, and the bursts they form (docs/detection.md)."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as f

from lake.rules import AnomalyRules
from spark.detection.exact import MICROS_PER_SECOND


def with_velocity(candidates: DataFrame, rules: AnomalyRules) -> DataFrame:
    """Adds `velocity`, `burst_id` and `window_count` (NULL outside of bursts).

    Args:
        candidates: Rows with `account_id`, `micros`, `transaction_id`. Of an account, every row that shares a window
            with more than `velocity_count` others must be there; others may be missing.
        rules: Thresholds.
    """
    k, width = rules.velocity_count, rules.velocity_window_s * MICROS_PER_SECOND
    account = Window.partitionBy("account_id")
    in_order = account.orderBy("micros", "transaction_id")
    rows = candidates.withColumn(
        "velocity", f.coalesce(f.lag("micros", k).over(in_order) > f.col("micros") - width, f.lit(False))
    )
    fired = f.col("velocity").cast("int")
    # A row is in the window of each firing row at most k places behind it.
    in_burst = f.max(fired).over(in_order.rowsBetween(0, k)) == 1
    # A window that ends less than k places behind it also holds the row before.
    joined = f.max(fired).over(in_order.rowsBetween(0, k - 1)) == 1
    earlier = account.orderBy("micros").rangeBetween(Window.unboundedPreceding, -width)
    window_count = f.row_number().over(in_order) - f.count(f.lit(1)).over(earlier)
    rows = rows.withColumns({"_in_burst": in_burst, "_starts": in_burst & ~joined, "_window_count": window_count})
    number = f.sum(f.col("_starts").cast("int")).over(in_order)
    rows = rows.withColumn("_burst", f.when(f.col("_in_burst"), number))
    first = f.first("transaction_id").over(
        Window.partitionBy("account_id", "_burst").orderBy("micros", "transaction_id")
    )
    return rows.withColumns(
        {
            "burst_id": f.when(f.col("_in_burst"), first),
            "window_count": f.when(f.col("_in_burst"), f.col("_window_count").cast("bigint")),
        }
    )
