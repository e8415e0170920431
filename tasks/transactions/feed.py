"""The feed of transactions: cell after cell in the order of days, each from its own random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lake.settings import TransactionSettings
from tasks.generation.draws import Array, Draws, Stream
from tasks.generation.seasons import DAY, HOUR
from tasks.transactions import economy
from tasks.transactions.accounts import (
    QUIET_AT_MIDNIGHT,
    Accounts,
    Merchants,
    draw_accounts,
    pick_cents,
    pick_merchants,
    pick_times,
)
from tasks.transactions.injections import Planned, Regular, draw_injections
from tasks.transactions.layout import Block, Layout

# Profiles and plans of that many blocks stay in memory, some 4 MB each; beyond, they are drawn again.
_BLOCKS_IN_MEMORY = 64
# An ordinary account has at most one more than this a day, and one injected amount: below the ten of an unusual day.
_MOST_EXPECTED_A_DAY = 7.0
# A burst needs the hours around it free of the account's other transactions; these come half a day later.
_ROOM = HOUR
# Time of day and position share a sort key of 63 bits.
_POSITION_BITS = 26


@dataclass(frozen=True, slots=True)
class Transactions:
    """Rows of a cell in the order of time, an array each.

    Args:
        first: Number of the first row in the whole feed, from 0.
        account: Number.
        merchant: Number.
        category: Position in `economy.CATEGORIES`.
        occurred_at: Microseconds since 1970, UTC.
        cents: Amount.
        currency: Position in `economy.CURRENCIES`.
        channel: Position in `economy.CHANNELS`.
        mark: What the row is (`marks.Mark`).
        crowded_by: What crowded the account's day; 0 where nothing did.
    """

    first: int
    account: Array
    merchant: Array
    category: Array
    occurred_at: Array
    cents: Array
    currency: Array
    channel: Array
    mark: Array
    crowded_by: Array


@dataclass(frozen=True, slots=True)
class _Plan:
    """A block's profiles, what is planned for it, and where each day begins in the planned rows."""

    block: Block
    accounts: Accounts
    regular: Regular
    free: Array
    planned: Planned
    day_begins: Array


class Feed:
    """All transactions under one set of settings.

    Args:
        settings: Chunk and threads play no part.

    Raises:
        ConfigurationError: See `Layout`.
    """

    def __init__(self, settings: TransactionSettings) -> None:
        self._seed = settings.seed
        self._layout = layout = Layout(settings)
        self._merchants = Merchants(self._draws(Stream.MERCHANTS, 0), layout.merchants)
        self._plan = lru_cache(maxsize=_BLOCKS_IN_MEMORY)(self._draw_plan)
        known = np.stack([self._known_rows(self._plan(block)) for block in range(layout.blocks)], axis=1)
        natural = layout.natural_rows(known)
        self._natural: Array = natural.ravel()
        self._begins = np.concatenate(([0], np.cumsum(natural + known)))

    @property
    def cells(self) -> int:
        return len(self._natural)

    def rows(self, cell: int) -> int:
        """Rows of a cell."""
        return int(self._begins[cell + 1] - self._begins[cell])

    def draw(self, cell: int) -> Transactions:
        """The rows of a cell."""
        day, number = divmod(cell, self._layout.blocks)
        plan, draws = self._plan(number), self._draws(Stream.TRANSACTIONS, cell)
        planned = plan.planned.slice(plan.day_begins[day], plan.day_begins[day + 1])
        counts = self._counts(draws, plan, day, int(self._natural[cell]))
        account = np.repeat(np.arange(plan.block.accounts, dtype=np.int32), counts)
        merchant = pick_merchants(draws, plan.accounts, self._merchants, account)
        cents = pick_cents(draws, plan.accounts, self._merchants, account, merchant)
        time = pick_times(draws, plan.accounts, account)
        _make_room(time, plan.regular, day, counts)
        self._space_hot(draws, time, plan.block)

        time = np.concatenate((time, planned.time))
        order = _by_time(time)
        account = np.concatenate((account, planned.account))[order]
        merchant = np.concatenate((merchant, planned.merchant))[order]
        return Transactions(
            int(self._begins[cell]),
            account + plan.block.first,
            merchant,
            self._merchants.category[merchant],
            time[order] + (self._layout.first_day + day) * DAY,
            np.concatenate((cents, planned.cents))[order],
            plan.accounts.currency[account],
            self._merchants.is_online[merchant].astype(np.int8),
            np.concatenate((np.zeros(len(cents), np.int8), planned.mark))[order],
            _crowded_by(plan, day)[account],
        )

    def _draws(self, stream: Stream, number: int) -> Draws:
        return Draws(self._seed, stream, number)

    def _draw_plan(self, number: int) -> _Plan:
        block = self._layout.block(number)
        accounts = draw_accounts(self._draws(Stream.ACCOUNTS, number), block, self._merchants)
        draws = self._draws(Stream.INJECTIONS, number)
        regular, planned = draw_injections(draws, self._layout, block, accounts, self._merchants)
        is_free = np.ones(block.ordinary, bool)
        is_free[regular.account] = False
        begins = np.searchsorted(planned.day, np.arange(self._layout.days + 1))
        return _Plan(block, accounts, regular, np.flatnonzero(is_free), planned, begins)

    def _known_rows(self, plan: _Plan) -> Array:
        """Rows of a block that are not left to chance, by day."""
        regular = np.array([plan.regular.counts(day).sum() for day in range(self._layout.days)])
        known: Array = np.diff(plan.day_begins) + regular + plan.block.hot * self._layout.hot_rows_a_day
        return known

    def _counts(self, draws: Draws, plan: _Plan, day: int, natural: int) -> Array:
        """Natural transactions of each account of a block on a day."""
        counts = np.zeros(plan.block.accounts, np.int64)
        low, high = economy.DAY_ACTIVITY
        weights = plan.accounts.activity[plan.free] * (low + (high - low) * draws.uniform(len(plan.free)))
        counts[plan.free] = apportioned(draws, weights, natural)
        counts[plan.regular.account] = plan.regular.counts(day)
        counts[plan.block.accounts - plan.block.hot :] = self._layout.hot_rows_a_day
        return counts

    def _space_hot(self, draws: Draws, time: Array, block: Block) -> None:
        """Give each transaction of a hot account a slot of its own; theirs are the last rows."""
        a_day = self._layout.hot_rows_a_day
        rows = block.hot * a_day
        if rows:
            slot = DAY / a_day
            within = np.tile(np.arange(a_day), block.hot) + draws.uniform(rows)
            time[len(time) - rows :] = (within * slot).astype(np.int64)


def apportioned(draws: Draws, weights: Array, total: int) -> Array:
    """Whole numbers with that sum, each its expectation rounded up or down at random, none above eight.

    Systematic sampling: points at distance one on the cumulated expectations, from a random start.

    Args:
        draws: Random numbers.
        weights: What the expectations are proportional to, as far as none exceeds seven; positive.
        total: Their sum, at most seven times as many as there are weights.

    Source: Madow, On the Theory of Systematic Sampling II, Annals of Mathematical Statistics 20, 1949.
    """
    if not total:
        return np.zeros(len(weights), np.int64)
    edges = np.cumsum(weights)
    mean = total / len(weights)
    largest = float(weights.max()) * total / float(edges[-1])
    if largest > _MOST_EXPECTED_A_DAY:
        # Draw all towards the mean until the largest fits.
        pull = (largest - _MOST_EXPECTED_A_DAY) / (largest - mean)
        edges = edges * ((1 - pull) / edges[-1]) + np.arange(1, len(weights) + 1) * (pull / len(weights))
    points = np.floor(edges * (total / edges[-1]) + draws.uniform(1)).astype(np.int64)
    # Rounding may leave the last expectation a hair beside the sum.
    points[-1] = total
    return np.diff(np.minimum(points, total), prepend=0)


def _make_room(time: Array, regular: Regular, day: int, counts: Array) -> None:
    """Move natural transactions away from the burst that their account has on this day."""
    today = np.flatnonzero((regular.day == day) & (regular.begin >= 0))
    account = regular.account[today]
    ends = np.cumsum(counts)[account]
    for begin, end, burst in zip(ends - counts[account], ends, regular.begin[today], strict=True):
        own = time[begin:end]
        near = np.abs(own - burst) < _ROOM
        own[near] = np.clip((own[near] + DAY // 2) % DAY, QUIET_AT_MIDNIGHT, DAY - QUIET_AT_MIDNIGHT - 1)


def _crowded_by(plan: _Plan, day: int) -> Array:
    """Of each account, what crowds its day; 0 where nothing does."""
    crowded = np.zeros(plan.block.accounts, np.int8)
    today = plan.regular.day == day
    crowded[plan.regular.account[today]] = plan.regular.mark[today]
    return crowded


def _by_time(time: Array) -> Array:
    """Positions in the order of time, equal ones in their own; a sort of keys is quicker than one of positions."""
    keys = (time << _POSITION_BITS) | np.arange(len(time))
    keys.sort()
    return keys & ((1 << _POSITION_BITS) - 1)
