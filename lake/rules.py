"""Anomaly rules: their thresholds, declared once (docs/detection.md says what each means).

Standard library only: the Spark job runs on clusters where nothing but pyspark is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Rule(StrEnum):
    """Why a transaction is in the anomalies table."""

    VELOCITY = "velocity"
    HIGH_AMOUNT = "high_amount"
    VERY_HIGH_AMOUNT = "very_high_amount"
    FREQUENCY = "frequency"


class AmountMethod(StrEnum):
    """How an amount is compared with others: by mean and deviation, or by median and MAD."""

    Z = "z"
    MAD = "mad"


@dataclass(frozen=True)
class AnomalyRules:
    """Thresholds of the four rules.

    Args:
        velocity_count: Earlier transactions inside the window that an account may have before it is flagged.
        velocity_window_s: Length of that window, seconds; half-open, (t - window, t].
        amount_method: `z` or `mad`.
        z_threshold: A leave-one-out z above it is flagged.
        mad_threshold: A modified z above it is flagged.
            Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers, ASQC 1993, section 3.3.2.
        min_history: Other transactions an account needs to be its own yardstick; below, its peers are.
        zero_spread_ratio: Where all others are equal, an amount above this many times theirs is flagged; at most four
            digits behind the point.
        very_high_amount: An amount above it is flagged, whatever the account.
        frequency_z_threshold: A day's leave-one-out z of counts above it is flagged.
        frequency_min_count: Transactions a day needs to be flagged at all.
        frequency_min_days: Other days an account needs for its days to be compared.
    """

    velocity_count: int = 10
    velocity_window_s: int = 60
    amount_method: AmountMethod = AmountMethod.Z
    z_threshold: float = 3.0
    mad_threshold: float = 3.5
    min_history: int = 10
    zero_spread_ratio: Decimal = Decimal("2.0")
    very_high_amount: Decimal = Decimal("10000.00")
    frequency_z_threshold: float = 3.0
    frequency_min_count: int = 10
    frequency_min_days: int = 14
