"""What the Handbook compares with what: its test week, the transactions in it, its baselines, and ours by scenario.

Source: Le Borgne et al., Reproducible Machine Learning for Credit Card Fraud Detection - Practical Handbook, 2022,
chapter 3, Baseline fraud detection system: training 2018-07-25 to 2018-07-31, a week in which labels become known, test
2018-08-08 to 2018-08-14.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.handbook.ranking import average_precision, card_precision
from bench.handbook.simulator import Payments, Scenario

Array = npt.NDArray[Any]

FIRST_KNOWN_DAY = date(2018, 7, 25)
TEST_WEEK = (date(2018, 8, 8), date(2018, 8, 14))
# A fraud is known when so many days lie between it and the day judged.
LABEL_DELAY_DAYS = 7
CARDS_A_DAY = 100


@dataclass(frozen=True, slots=True)
class Ranked:
    """How well scores rank fraud.

    Args:
        transactions: Transactions ranked.
        frauds: Of them fraud.
        average_precision: See bench.handbook.ranking.
        card_precision: Of the 100 most suspicious cards a day.
    """

    transactions: int
    frauds: int
    average_precision: float
    card_precision: float


# Average precision and card precision of 100 on the test week, from the chapter's last section; there the models know a
# week of labels and how often each terminal was defrauded, which no rule here does.
PUBLISHED = {
    "logistic regression": (0.606, 0.291),
    "decision tree of depth two": (0.496, 0.241),
    "decision tree": (0.309, 0.243),
    "random forest": (0.658, 0.287),
    "XGBoost": (0.639, 0.273),
    "random": (0.007, 0.017),
}


def in_test_week(payments: Payments) -> Array:
    """True for the transactions of the test week, without those of cards whose fraud is known by then."""
    first, last = (payments.day_of(day) for day in TEST_WEEK)
    known_from = payments.day_of(FIRST_KNOWN_DAY)
    day, never = payments.day, payments.population.days
    fraud = np.flatnonzero((payments.scenario > 0) & (day >= known_from))
    first_fraud = np.full(payments.population.customers, never)
    np.minimum.at(first_fraud, payments.customer[fraud], day[fraud])
    known = first_fraud[payments.customer] + LABEL_DELAY_DAYS < day
    chosen: Array = (day >= first) & (day <= last) & ~known
    return chosen


def ranked(payments: Payments, scores: Array, chosen: Array, scenario: Scenario | None) -> Ranked:
    """Measures over the chosen transactions.

    Args:
        payments: What was simulated.
        scores: One for each transaction.
        chosen: True for the transactions to rank.
        scenario: Only this kind is looked for, and fraud of the other kinds left out; all kinds when None.
    """
    if scenario is not None:
        chosen = chosen & np.isin(payments.scenario, (Scenario.GENUINE, scenario))
    rows = np.flatnonzero(chosen)
    score, fraud = scores[rows], payments.scenario[rows] > 0
    return Ranked(
        transactions=len(rows),
        frauds=int(fraud.sum()),
        average_precision=average_precision(score, fraud),
        card_precision=card_precision(payments.customer[rows], payments.day[rows], score, fraud, CARDS_A_DAY),
    )
