"""Poisson bootstrap over accounts: how far each figure would move with other accounts of the same kind.

Rows of one account hang together (a burst is one event), so accounts are drawn, not transactions. Each replicate weighs
each account by an independent Poisson(1) number, the large-sample form of drawing with replacement.
Source: Hanley and MacGibbon, Creating non-parametric bootstrap samples using Poisson frequencies, Computer Methods and
Programs in Biomedicine 83, 2006; percentile intervals: Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
chapter 13.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.generation.draws import poisson

Array = npt.NDArray[Any]

COVERAGE = 0.95
# With 1,000 replicates 32 MiB of weights at once.
_ACCOUNTS_AT_ONCE = 4_096
_WORDS16_PER_DRAW = 4


def bootstrap(batches: Iterable[Array], seed: int, replicates: int, columns: int) -> Array:
    """Weighted sums of per-account counts: replicates × columns.

    Each replicate is scaled to the number of accounts there are; one in which no account was drawn holds NaN. Sums are
    exact below 2**53, so neither the size of batches nor threads change them.

    Args:
        batches: Counts, accounts × columns, whole numbers, accounts in an order that is always the same.
        seed: Says which weights come.
        replicates: How often accounts are drawn.
        columns: Counts an account has.
    """
    bits = np.random.PCG64(np.random.SeedSequence(seed))
    sums, drawn, accounts = np.zeros((replicates, columns)), np.zeros(replicates), 0
    for counts in batches:
        for start in range(0, len(counts), _ACCOUNTS_AT_ONCE):
            some = counts[start : start + _ACCOUNTS_AT_ONCE].astype(np.float64)
            weights = _weights(bits, len(some), replicates)
            sums += weights.T @ some
            drawn += weights.sum(axis=0)
            accounts += len(some)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled: Array = sums * (accounts / drawn)[:, np.newaxis]
    return scaled


def _weights(bits: np.random.PCG64, accounts: int, replicates: int) -> Array:
    """Poisson(1) numbers, accounts × replicates."""
    # Whole draws for each account: its weights do not depend on how many accounts come in its batch.
    draws = -(-replicates // _WORDS16_PER_DRAW)
    raw = bits.random_raw(accounts * draws).astype("<u8", copy=False).view("<u2")
    chosen = raw.reshape(accounts, draws * _WORDS16_PER_DRAW)[:, :replicates]
    weights: Array = poisson(1.0)[chosen].astype(np.float64)
    return weights


def interval(numerators: Array, denominators: Array | float) -> tuple[float, float] | None:
    """95 % percentile interval of a ratio over the replicates in which it is defined; None when it is in none.

    Args:
        numerators: One for each replicate.
        denominators: One for each replicate, or one for all.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = numerators / denominators
    defined = ratios[np.isfinite(ratios)]
    if not len(defined):
        return None
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
