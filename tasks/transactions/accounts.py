"""Who pays and who is paid: merchants of uneven size, and the profiles of a block of accounts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from tasks.generation.draws import QUANTILES, Array, Draws, choices, normal
from tasks.generation.seasons import DAY, HOUR, SECOND
from tasks.transactions import economy
from tasks.transactions.layout import Block

# Two natural transactions on both sides of midnight are so never within a minute of each other.
QUIET_AT_MIDNIGHT = 30 * SECOND
# A table of amounts for each segment and category should stay in the processor's cache.
_AMOUNT_QUANTILES = 4096
# Microseconds that 16 random bits are spread over: the mean gap between two quantiles of a day.
_JITTER = 20
_CATEGORIES = len(economy.CATEGORIES)


class Merchants:
    """Merchants by size, the largest first.

    Args:
        draws: Random numbers.
        count: How many.
    """

    def __init__(self, draws: Draws, count: int) -> None:
        self._count = count
        self.category = draws.pick(choices(*(c.merchants for c in economy.CATEGORIES)), count)
        online = np.array([c.online for c in economy.CATEGORIES])[self.category]
        self.is_online: Array = draws.chance(online, count)
        # Card testers need one; a small town might have none.
        self.is_online[0] = True
        self._online = np.flatnonzero(self.is_online)

    def any(self, draws: Draws, count: int) -> Array:
        """Merchants, each as often as its size says: the r-th weighs r^(-2/3), the law of a cubed uniform number."""
        return _cubed(draws, count, self._count).astype(np.int32)

    def any_online(self, draws: Draws, count: int) -> Array:
        """The same among those that sell online."""
        chosen: Array = self._online[_cubed(draws, count, len(self._online))]
        return chosen.astype(np.int32)


def _cubed(draws: Draws, count: int, below: int) -> Array:
    # Products are exactly rounded on every processor; powers are not.
    uniform = draws.uniform(count)
    return (uniform * uniform * uniform * below).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Profiles, an array each; by position in the block.

    Args:
        segment: Position in `economy.SEGMENTS`.
        rhythm: Position in `economy.RHYTHMS`.
        currency: Position in `economy.CURRENCIES`.
        activity: Weight of its number of transactions.
        home: Its merchants, array (accounts, HOME_MERCHANTS).
        budget: Cents above which amounts are folded back.
    """

    segment: Array
    rhythm: Array
    currency: Array
    activity: Array
    home: Array
    budget: Array


def draw_accounts(draws: Draws, block: Block, merchants: Merchants) -> Accounts:
    """Profiles of a block."""
    count = block.accounts
    segment = draws.pick(choices(*(s.share for s in economy.SEGMENTS)), count)
    rhythm = draws.pick_each(np.stack([choices(*s.rhythms) for s in economy.SEGMENTS]), segment)
    currency = draws.pick(choices(*economy.CURRENCY_SHARES), count)
    low, high = economy.ACCOUNT_ACTIVITY
    activity = np.array([s.activity for s in economy.SEGMENTS])[segment] * (low + (high - low) * draws.uniform(count))
    home = merchants.any(draws, count * economy.HOME_MERCHANTS).reshape(count, economy.HOME_MERCHANTS)
    mean, deviation = mean_and_deviation(segment, merchants.category[home])
    budget = np.rint(mean + economy.BUDGET_DEVIATIONS * deviation).astype(np.int32)
    return Accounts(segment, rhythm, currency, activity.astype(np.float32), home, budget)


def pick_merchants(draws: Draws, accounts: Accounts, merchants: Merchants, account: Array) -> Array:
    """A merchant for each transaction: mostly one of the account's own, sometimes any."""
    place = draws.pick(choices(*economy.HOME_SHARES), len(account))
    strays = np.flatnonzero(place == economy.HOME_MERCHANTS)
    position = account.astype(np.int64) * economy.HOME_MERCHANTS + place
    # Overwritten below; the last account has no merchant behind its own.
    position[strays] = 0
    chosen: Array = accounts.home.ravel()[position]
    chosen[strays] = merchants.any(draws, len(strays))
    return chosen


def pick_cents(draws: Draws, accounts: Accounts, merchants: Merchants, account: Array, merchant: Array) -> Array:
    """An amount for each transaction, by the merchant's category and the account's segment."""
    kind = accounts.segment[account].astype(np.int16) * _CATEGORIES + merchants.category[merchant]
    cents: Array = draws.pick_each(_amounts(), kind).astype(np.int64)
    beyond = np.flatnonzero(cents > accounts.budget[account])
    budget = accounts.budget[account[beyond]].astype(np.int64)
    cents[beyond] = budget * budget // cents[beyond]
    return cents


def pick_times(draws: Draws, accounts: Accounts, account: Array) -> Array:
    """A time of day for each transaction, microseconds, by the account's rhythm."""
    time: Array = draws.pick_each(_clocks(), accounts.rhythm[account])
    return time + draws.bits(len(account)).astype(np.int64) * _JITTER


def mean_and_deviation(segment: Array, category: Array) -> tuple[Array, Array]:
    """What an account's amounts are expected to be in cents before any is folded back, strays left out.

    Args:
        segment: Of each account.
        category: Of its merchants, array (accounts, HOME_MERCHANTS).
    """
    shares = np.array(economy.HOME_SHARES[: economy.HOME_MERCHANTS])
    amounts = _amounts().astype(np.float64)
    of_amount, of_square = amounts.mean(axis=1), (amounts * amounts).mean(axis=1)
    mean, square = np.zeros(len(segment)), np.zeros(len(segment))
    for place, share in enumerate(shares / shares.sum()):
        kind = segment.astype(np.int16) * _CATEGORIES + category[:, place]
        mean += share * of_amount[kind]
        square += share * of_square[kind]
    return mean, np.sqrt(square - mean * mean)


@cache
def _amounts() -> Array:
    """Quantiles of amounts in cents, (segments × categories, quantiles)."""
    deviates = np.clip(normal(_AMOUNT_QUANTILES), -economy.LARGEST_DEVIATE, economy.LARGEST_DEVIATE)
    tables = [
        segment.spending * category.median_cents * np.exp(category.sigma * deviates)
        for segment in economy.SEGMENTS
        for category in economy.CATEGORIES
    ]
    return np.rint(np.stack(tables)).astype(np.int32)


@cache
def _clocks() -> Array:
    """Quantiles of the time of day in microseconds, (rhythms, quantiles), none near midnight."""
    end = DAY - QUIET_AT_MIDNIGHT - QUANTILES * _JITTER
    clocks = []
    for weights in economy.RHYTHMS.values():
        shares = np.concatenate(([0.0], np.cumsum(weights)))
        points = np.arange(QUANTILES) / QUANTILES * shares[-1]
        clocks.append(np.interp(points, shares, np.arange(len(shares)) * HOUR))
    quantiles: Array = np.clip(np.stack(clocks), QUIET_AT_MIDNIGHT, end).astype(np.int64)
    return quantiles
