"""Detection from end to end: profiles, candidates, the four rules, and the rows that go to gold.

The candidates hold every transaction that can fire a rule and some that do not; each rule then decides exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import mul

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from lake.rules import AnomalyRules, Rule
from spark.detection.amounts import CENTS, very_high, with_high_amount
from spark.detection.frequency import with_frequency
from spark.detection.profiles import (
    ACCOUNT,
    PEERS,
    account_profiles,
    candidate_limits,
    may_form_a_burst,
    merchant_profiles,
    peer_profiles,
    with_whole_numbers,
)
from spark.detection.velocity import with_velocity

SCORE_DIGITS = 6

# Takes a frame and a name for it; gives the same rows back, stored where reading them again costs little.
Keep = Callable[[DataFrame, str], DataFrame]

_RECEIVED = ("transaction_id", "account_id", "merchant_id", "category", "occurred_at", "amount", "currency")
_FIGURES = (
    "burst_id",
    "window_count",
    "amount_basis",
    "amount_center",
    "amount_spread",
    "amount_z",
    "day_count",
    "day_mean",
    "day_z",
)


@dataclass(frozen=True)
class Profiles:
    """One row per account, per merchant and category, and per category."""

    accounts: DataFrame
    merchants: DataFrame
    peers: DataFrame


def recompute(frame: DataFrame, name: str) -> DataFrame:  # noqa: ARG001 - a Keep
    """Keep nothing: the engine computes the frame each time it is read."""
    return frame


def profile(transactions: DataFrame, rules: AnomalyRules, keep: Keep = recompute) -> Profiles:
    """What the rules need to know of all transactions together.

    Args:
        transactions: Columns of silver.transactions.
        rules: Thresholds.
        keep: Stores the profiles.
    """
    rows = with_whole_numbers(transactions)
    accounts = keep(account_profiles(rows, rules), "accounts")
    merchants = keep(merchant_profiles(rows), "merchants")
    return Profiles(accounts, merchants, peer_profiles(rows, merchants, rules))


def detect(transactions: DataFrame, rules: AnomalyRules, profiles: Profiles | None = None) -> DataFrame:
    """The transactions that fire a rule, and those in a burst with one that does.

    Args:
        transactions: Columns of silver.transactions: ids unique, amounts from 0 to 9,999,999,999.99, nothing NULL.
        rules: Thresholds.
        profiles: From `profile` on the same transactions; computed when absent.

    Returns:
        Columns of gold.transaction_anomalies up to `day_z`.
    """
    known = profiles or profile(transactions, rules)
    rows = candidates(transactions, known, rules)
    rows = with_frequency(with_velocity(rows, rules), rules)
    rows = with_high_amount(rows, ACCOUNT, PEERS, rules).withColumn("very_high_amount", very_high(rules))
    found = rows.where(f.col("burst_id").isNotNull() | reduce(Column.__or__, (f.col(rule) for rule in Rule)))
    return found.select(*_RECEIVED, _fired().alias("rules"), _score(rules).alias("score"), *_FIGURES)


def candidates(transactions: DataFrame, known: Profiles, rules: AnomalyRules) -> DataFrame:
    """Transactions that may fire a rule, with what is known of their account and peers."""
    limits = candidate_limits(known.accounts, known.peers, rules)
    rows = with_whole_numbers(transactions.select(*_RECEIVED)).join(f.broadcast(limits), "account_id")
    may_fire = (f.col("cents") >= f.col("limit_cents")) | very_high(rules) | may_form_a_burst(rules)
    few = rows.where(f.coalesce(may_fire, f.lit(False))).drop("limit_cents", "first_busy_day", "last_busy_day")
    # Only now the rest of the profiles: an engine would copy it beside every transaction.
    return few.join(f.broadcast(known.accounts), "account_id").join(f.broadcast(known.peers), "category")


def _fired() -> Column:
    names = [f.when(f.col(rule), rule.value).otherwise("") for rule in sorted(Rule)]
    return f.array_remove(f.array(*names), "")


def _score(rules: AnomalyRules) -> Column:
    severities = {
        Rule.VELOCITY: f.col("window_count") / (rules.velocity_count + 1),
        Rule.HIGH_AMOUNT: f.col("amount_severity"),
        Rule.VERY_HIGH_AMOUNT: f.col("cents") / int(rules.very_high_amount * CENTS),
        Rule.FREQUENCY: f.col("day_severity"),
    }
    spared = [f.when(f.col(rule), 1 / (1 + severity)).otherwise(1.0) for rule, severity in severities.items()]
    return f.round(1 - reduce(mul, spared), SCORE_DIGITS)
