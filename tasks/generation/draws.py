"""Random numbers by counter: a seed, a stream and a block say what comes, nothing else does.

Distributions are tables of 2**16 quantiles looked up by 16 random bits (inverse transform; Devroye, Non-Uniform
Random Variate Generation, 1986, section III.2). A look-up costs less than any sampler and gives the same value on
every processor, where NumPy's vectorised logarithms may differ in the last bit. NumPy promises the stream of a bit
generator for ever, that of `Generator`'s methods not.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

QUANTILES = 1 << 16
_BITS_OF_A_DOUBLE = 53
_WORDS16_PER_DRAW = 4


class Stream(IntEnum):
    """What a sequence of random numbers is for; the numbers are part of the format."""

    PEOPLE = 1
    MEMBERS = 2
    SUPPORT = 3
    FREE_SUPPORT = 4
    BILLING = 5
    VISITS = 6
    DIRT = 7
    MARKETING = 8
    MARKETING_DIRT = 9
    MERCHANTS = 10
    ACCOUNTS = 11
    INJECTIONS = 12
    TRANSACTIONS = 13


class Draws:
    """The random numbers of one stream of one block.

    Args:
        seed: Of the settings.
        stream: What they are for.
        block: Which block of people.
    """

    def __init__(self, seed: int, stream: Stream, block: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, block)))

    def bits(self, count: int) -> Array:
        """`count` times 16 random bits."""
        words: Array = self._bits.random_raw(-(-count // _WORDS16_PER_DRAW))
        return words.astype("<u8", copy=False).view("<u2")[:count]

    def uniform(self, *shape: int) -> Array:
        """Numbers in [0, 1) of 53 bits."""
        raw: Array = self._bits.random_raw(int(np.prod(shape)))
        return ((raw >> np.uint64(64 - _BITS_OF_A_DOUBLE)) * 2.0**-_BITS_OF_A_DOUBLE).reshape(shape)

    def chance(self, probability: float | Array, count: int) -> Array:
        """True with the probability given, one for all or one each."""
        return self.uniform(count) < probability

    def pick(self, table: Array, count: int) -> Array:
        """Values of a quantile table."""
        return table[self.bits(count)]

    def pick_each(self, tables: Array, rows: Array) -> Array:
        """Values of the quantile table that `rows` names for each of them.

        Args:
            tables: One table a row, each of a power of two of at most 2**16 quantiles.
            rows: Row of `tables`, one for each value drawn.
        """
        width = tables.shape[1]
        position = rows.astype(np.int32) * np.int32(width)
        position += self.bits(len(rows)) >> np.uint16(QUANTILES // width - 1).bit_count()
        drawn: Array = tables.ravel()[position]
        return drawn


def _midpoints(quantiles: int) -> Array:
    return (np.arange(quantiles) + 0.5) / quantiles


@cache
def choices(*weights: float) -> Array:
    """Table of positions, each as often as its weight says."""
    edges = np.cumsum(weights) / np.sum(weights)
    return np.minimum(np.searchsorted(edges, _midpoints(QUANTILES)), len(weights) - 1).astype(np.int8)


@cache
def poisson(mean: float) -> Array:
    """Table of counts with that mean, at most 127."""
    most = np.iinfo(np.int8).max
    terms = np.cumprod(np.concatenate(([np.exp(-mean)], mean / np.arange(1, most + 1))))
    return np.minimum(np.searchsorted(np.cumsum(terms), _midpoints(QUANTILES)), most).astype(np.int8)


@cache
def exponential(mean: float) -> Array:
    """Table of exponential waits in the unit of `mean`; the longest is about 12 means."""
    return -np.log1p(-_midpoints(QUANTILES)) * mean


@cache
def normal(quantiles: int = QUANTILES) -> Array:
    """Table of the standard normal distribution."""
    inverse = NormalDist().inv_cdf
    return np.fromiter((inverse(p) for p in _midpoints(quantiles).tolist()), np.float64, quantiles)


@cache
def lognormal(median: float, sigma: float, quantiles: int = QUANTILES) -> Array:
    """Table of exp(normal): `median` in the unit wanted, `sigma` the standard deviation of the logarithm."""
    return median * np.exp(sigma * normal(quantiles))
