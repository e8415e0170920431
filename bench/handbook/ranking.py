"""Average precision and card precision: how well scores put fraud first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def average_precision(scores: Array, fraud: Array) -> float:
    """Precision at each distinct score, weighted by the recall gained there; equal scores are one threshold.

    Source: Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, section 8.4; ties as in
    scikit-learn's `average_precision_score`, which the Handbook uses. A constant score has the share of fraud.

    Args:
        scores: One for each transaction, higher is more suspicious.
        fraud: True for fraud, as long as `scores`.

    Returns:
        Between 0 and 1; NaN when nothing is fraud.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_score = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]
    found = np.cumsum(fraud[order])[last_of_score]
    flagged = np.flatnonzero(last_of_score) + 1
    total = found[-1] if len(found) else 0
    if not total:
        return float("nan")
    gained = np.diff(found, prepend=0)
    return float(np.sum(gained * found / flagged) / total)


def card_precision(card: Array, day: Array, scores: Array, fraud: Array, k: int) -> float:
    """Mean over days of the share of compromised cards among the `k` most suspicious of the day.

    A card's score of a day is the highest of its transactions, and it is compromised when one of them is fraud. A
    compromised card among the `k` is found: its later transactions are looked at no more. Equal scores are ranked by
    the card's number, which says nothing about fraud.
    Source: Le Borgne et al., Fraud Detection Handbook, 2022, chapter 4, Precision top-k metrics.

    Args:
        card: Card of each transaction.
        day: Day of each transaction.
        scores: Score of each transaction, higher is more suspicious.
        fraud: True for fraud.
        k: Cards that can be looked at in a day.

    Returns:
        Between 0 and 1; NaN when there are no days.
    """
    closed = np.zeros(int(card.max(initial=-1)) + 1, dtype=bool)
    precisions = []
    for each in np.unique(day):
        today = np.flatnonzero((day == each) & ~closed[card])
        cards, position = np.unique(card[today], return_inverse=True)
        highest = np.full(len(cards), -np.inf)
        np.maximum.at(highest, position, scores[today])
        compromised = np.bincount(position, fraud[today], len(cards)) > 0
        looked_at = np.argsort(-highest, kind="stable")[:k]
        found = looked_at[compromised[looked_at]]
        closed[cards[found]] = True
        precisions.append(len(found) / k)
    return float(np.mean(precisions)) if precisions else float("nan")
