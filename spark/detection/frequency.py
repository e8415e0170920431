"""frequency: a day of an account with far more transactions than its other days (docs/detection.md)."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as f

from lake.rules import AnomalyRules
from spark.detection.amounts import RATIO_SCALE, Z_DIGITS


def with_frequency(candidates: DataFrame, rules: AnomalyRules) -> DataFrame:
    """Adds `frequency`, and `day_count`, `day_mean`, `day_z` and `day_severity`, NULL when it did not fire.

    Args:
        candidates: Rows with `account_id`, `day`, and of their account `account_count`, `day_squares`, `first_day` and
            `last_day`. All rows of a day with `frequency_min_count` transactions must be there.
        rules: Thresholds.
    """
    count = f.count(f.lit(1)).over(Window.partitionBy("account_id", "day"))
    rows = candidates.withColumn("_count", count)
    c, total = f.col("_count"), f.col("account_count") - f.col("_count")
    others = f.col("last_day") - f.col("first_day")
    # Engines may divide before they look at a condition around the division; by NULL, nothing can go wrong.
    m = f.when(others > 1, others.cast("double"))
    # Whole numbers: a history has thousands of days and millions of rows, whose squares fit.
    scaled = others * (f.col("day_squares") - c * c) - total * total
    rows = rows.withColumns({"_mean": total / m, "_deviation": f.sqrt(scaled.cast("double") / (m * (m - 1)))})
    mean, deviation = f.col("_mean"), f.col("_deviation")
    rows = rows.withColumn("_day_z", f.when(deviation > 0, f.round((c - mean) / deviation, Z_DIGITS)))
    no_spread = deviation == 0
    above_ratio = c * others * RATIO_SCALE > total * int(rules.zero_spread_ratio * RATIO_SCALE)
    far = f.when(no_spread, above_ratio).otherwise(f.col("_day_z") > rules.frequency_z_threshold)
    comparable = (c >= rules.frequency_min_count) & (others >= rules.frequency_min_days)
    fired = f.coalesce(comparable & far, f.lit(False))
    severity = (
        f.when(no_spread & (mean == 0), c.cast("double"))
        .when(no_spread, c / f.when(mean > 0, mean * float(rules.zero_spread_ratio)))
        .otherwise(f.col("_day_z") / rules.frequency_z_threshold)
    )
    return rows.withColumns(
        {
            "frequency": fired,
            "day_count": f.when(fired, c),
            "day_mean": f.when(fired, mean),
            "day_z": f.when(fired & ~no_spread, f.col("_day_z")),
            "day_severity": f.when(fired, severity),
        }
    )
