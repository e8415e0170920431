"""Accounts whose every amount is known, so that one transaction stands exactly on a boundary or a cent beyond.

The others of such an account are one amount at their mean and equally many at a fixed distance above and below. Of m
others m - 1 lie at distance d, so their sample variance is (m - 1)·d² / (m - 1): the deviation is d, exactly.
"""

from __future__ import annotations

import numpy as np

from tasks.generation.draws import Array, Draws
from tasks.transactions.marks import Mark

# Pairs above and below the mean; with the one at the mean and the marked one 12 to 22 rows.
PAIRS = (5, 10)
MEAN_ROWS = 2 + PAIRS[0] + PAIRS[1]
# Mean and deviation in cents where z is the boundary.
_MEAN_CENTS = (4_000, 30_000)
_DEVIATION_CENTS = (200, 1_000)
_Z = 3
# The others of an account near 10,000.00; a z of 2 there does not fire.
_BOUNDARY_CENTS = 1_000_000
_NEAR_BOUNDARY_DEVIATION_CENTS = (5_000, 40_000)
_NEAR_BOUNDARY_Z = 2


def between(draws: Draws, ends: tuple[int, int], count: int) -> Array:
    """Whole numbers, both ends included."""
    low, high = ends
    return low + (draws.uniform(count) * (high - low + 1)).astype(np.int64)


def places(size: Array) -> Array:
    """For groups of those sizes, laid end to end, the place of each row in its group, from 0."""
    first = np.cumsum(size) - size
    place: Array = np.arange(int(size.sum())) - np.repeat(first, size)
    return place


def draw_boundary_amounts(draws: Draws, kind: Mark, count: int) -> tuple[Array, Array, Array]:
    """Amounts of `count` accounts, each account's in random order.

    Returns:
        Rows of each account; of each row its amount in cents, and whether it is the one on the boundary.
    """
    pairs = between(draws, PAIRS, count)
    if kind in (Mark.Z_EXACTLY_3, Mark.Z_JUST_ABOVE_3):
        mean, deviation = between(draws, _MEAN_CENTS, count), between(draws, _DEVIATION_CENTS, count)
        boundary = mean + _Z * deviation
    else:
        deviation = between(draws, _NEAR_BOUNDARY_DEVIATION_CENTS, count)
        boundary = np.full(count, _BOUNDARY_CENTS)
        mean = boundary - _NEAR_BOUNDARY_Z * deviation
    boundary = boundary + (kind in (Mark.JUST_ABOVE_10000, Mark.Z_JUST_ABOVE_3))

    size = 2 + 2 * pairs
    account, place = np.repeat(np.arange(count), size), places(size)
    # In each account the one on the boundary, the one at the mean, then as many above as below.
    side = np.where(place < 2 + pairs[account], 1, -1) * (place > 1)
    cents = np.where(place == 0, boundary[account], mean[account] + side * deviation[account])
    order = np.lexsort((draws.uniform(len(cents)), account))
    return size, cents[order], place[order] == 0
