"""high_amount and very_high_amount: amounts against those of others (docs/detection.md)."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from lake.rules import AmountMethod, AnomalyRules
from spark.detection.exact import WHOLE, Sums

CENTS = 100
Z_DIGITS = 9
RATIO_SCALE = 10_000
# Makes MAD an estimate of a normal distribution's deviation. Source: Iglewicz and Hoaglin, 1993, section 3.3.2.
NORMAL_MAD = 0.6745
# What a double may be off in a limit computed from exact sums; a cent is far more.
_SLACK = 1e-9

_OTHERS = Sums.named("others")


def very_high(rules: AnomalyRules) -> Column:
    """Whether a row's amount is above the absolute limit."""
    return f.col("cents") > f.lit(int(rules.very_high_amount * CENTS))


def candidate_cents(sums: Sums, rules: AnomalyRules) -> Column:
    """Cents at or above which a row of a group has to be looked at: a little too low, never too high; NULL for no row.

    For `z`: without the row itself, z grows with the row's amount, so that it passes the threshold t at one amount for
    the whole group. Solved for it, with SS the sum of squared distances of all n rows from their mean:
    mean + t · sqrt(SS / ((n / (n - 1))² (n - 2) + t² n / (n - 1))).
    """
    enough = f.col(sums.count) > rules.min_history
    if rules.amount_method is AmountMethod.MAD:
        limit = f.col(sums.median) + rules.mad_threshold / NORMAL_MAD * f.col(sums.mad)
        return f.when(enough, f.floor(limit * (1 - _SLACK)) - 1)
    # Engines may divide before they look at a condition around the division; by NULL, nothing can go wrong.
    n, t = f.when(f.col(sums.count) > 1, f.col(sums.count).cast("double")), rules.z_threshold
    scaled = _scaled_spread(f.col(sums.count), f.col(sums.cents), sums.squares())
    distance = t * f.sqrt(scaled.cast("double") / n / ((n / (n - 1)) ** 2 * (n - 2) + t * t * n / (n - 1)))
    limit = f.col(sums.cents) / n + distance
    return f.when(enough & (scaled > 0), f.floor(limit * (1 - _SLACK)) - 1)


def with_high_amount(candidates: DataFrame, account: Sums, peers: Sums, rules: AnomalyRules) -> DataFrame:
    """Adds `high_amount`, and `amount_basis`, `_center`, `_spread`, `_z` and `_severity`, NULL when it did not fire.

    Args:
        candidates: Rows with the sums (for `mad` also medians) of their account and of their peers.
        account: Names of the account's sums.
        peers: Names of the peers' sums; they may be NULL.
        rules: Thresholds.
    """
    is_mad = rules.amount_method is AmountMethod.MAD
    by_account = f.col(account.count) > rules.min_history
    basis = f.when(by_account, "account").when(f.col(peers.count) > rules.min_history, "peers")
    parts = ("median", "mad") if is_mad else ("count", "cents", "high", "cross", "low")
    chosen = {
        getattr(_OTHERS, part): f.when(by_account, f.col(getattr(account, part))).otherwise(f.col(getattr(peers, part)))
        for part in parts
    }
    rows = candidates.withColumns({"_basis": basis, **chosen})
    rows = _against_median(rows) if is_mad else _against_others(rows)
    threshold = rules.mad_threshold if is_mad else rules.z_threshold
    no_spread = f.col("_spread") == 0
    common, x = f.col("_center"), f.col("cents").cast("double")
    far = f.when(no_spread, _above_ratio(f.col("cents"), common, rules)).otherwise(f.col("_z") > threshold)
    fired = f.coalesce(f.col("_basis").isNotNull() & far, f.lit(False))
    severity = (
        f.when(no_spread & (common == 0), 1 + x / CENTS)
        .when(no_spread, x / f.when(common > 0, common * float(rules.zero_spread_ratio)))
        .otherwise(f.col("_z") / threshold)
    )
    return rows.withColumns(
        {
            "high_amount": fired,
            "amount_basis": f.when(fired, f.col("_basis")),
            "amount_center": f.when(fired, common / CENTS),
            "amount_spread": f.when(fired, f.col("_spread") / CENTS),
            "amount_z": f.when(fired & ~no_spread, f.col("_z")),
            "amount_severity": f.when(fired, severity),
        }
    )


def _against_others(rows: DataFrame) -> DataFrame:
    """Adds `_center`, `_spread` (cents) and `_z` from the sums without the row itself."""
    x = f.col("cents").cast("decimal(20,0)")
    others = f.col(_OTHERS.count) - 1
    total = f.col(_OTHERS.cents) - f.col("cents")
    squares = (_OTHERS.squares() - (x * x).cast(WHOLE)).cast(WHOLE)
    scaled = _scaled_spread(others, total, squares)
    distance = ((others.cast(WHOLE) * x).cast(WHOLE) - total.cast(WHOLE)).cast("double")
    m = f.when(others > 1, others.cast("double"))
    spread = f.sqrt(scaled.cast("double") / (m * (m - 1)))
    rows = rows.withColumns({"_center": total / m, "_spread": spread, "_distance": distance / m})
    return rows.withColumn("_z", f.when(f.col("_spread") > 0, f.round(f.col("_distance") / f.col("_spread"), Z_DIGITS)))


def _against_median(rows: DataFrame) -> DataFrame:
    """Adds `_center`, `_spread` (cents) and `_z` from the median and MAD, the row itself included."""
    center, mad = f.col(_OTHERS.median), f.col(_OTHERS.mad)
    z = f.round(NORMAL_MAD * (f.col("cents") - center) / mad, Z_DIGITS)
    return rows.withColumns({"_center": center, "_spread": mad, "_z": f.when(mad > 0, z)})


def _above_ratio(cents: Column, common: Column, rules: AnomalyRules) -> Column:
    """cents > ratio · common, exactly: the common value is whole or a half, the ratio has at most four decimals."""
    twice = (common * 2).cast("decimal(20,0)")
    scaled_ratio = f.lit(int(rules.zero_spread_ratio * RATIO_SCALE)).cast("decimal(18,0)")
    return cents.cast("decimal(20,0)") * f.lit(2 * RATIO_SCALE).cast("decimal(18,0)") > twice * scaled_ratio


def _scaled_spread(count: Column, cents: Column, squares: Column) -> Column:
    """n · sum of squares - (sum)²: n times the sum of squared distances from the mean, exact; 0 when all are equal."""
    n, total = count.cast(WHOLE), cents.cast(WHOLE)
    return (n * squares).cast(WHOLE) - (total * total).cast(WHOLE)
