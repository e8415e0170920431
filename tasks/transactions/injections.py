"""The rows of a block that are not left to chance: bursts, busy days, amounts out of line, accounts on a boundary.

Each crowded day falls on a regular account of its own, whose other days hold one of two neighbouring numbers of
transactions, at most four. Ten or more in a day are then more than three deviations above them whatever was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from tasks.generation.draws import QUANTILES, Array, Draws
from tasks.generation.seasons import DAY, HOUR, MINUTE, SECOND
from tasks.transactions import economy
from tasks.transactions.accounts import (
    Accounts,
    Merchants,
    mean_and_deviation,
    pick_cents,
    pick_merchants,
    pick_times,
)
from tasks.transactions.boundaries import between, draw_boundary_amounts, places
from tasks.transactions.layout import Block, Layout
from tasks.transactions.marks import Mark

# Bursts keep away from midnight, so that none belongs to two days.
_FIRST_BURST = 10 * MINUTE
_LAST_BURST = DAY - 20 * MINUTE
# A busy day begins in these hours; each of its transactions has a slot of the time it lasts.
_BUSY_BEGIN = (7 * HOUR, 9 * HOUR)
_BUSY_LASTS = 13 * HOUR
# Of a burst that many do not fire: velocity_count of the default rules.
_UNFIRED = 10
_VERY_HIGH_CENTS = 1_000_001
_BELOW_VERY_HIGH_CENTS = 999_999


@dataclass(frozen=True, slots=True)
class Planned:
    """Rows in the order of days, an array each.

    Args:
        account: Position in the block.
        day: From 0.
        time: Of the day, microseconds.
        merchant: Number.
        cents: Amount.
        mark: What it is.
    """

    account: Array
    day: Array
    time: Array
    merchant: Array
    cents: Array
    mark: Array

    def slice(self, begin: int, end: int) -> Planned:
        """Rows from `begin` to before `end`."""
        return Planned(*(getattr(self, f.name)[begin:end] for f in fields(Planned)))


@dataclass(frozen=True, slots=True)
class Regular:
    """Regular accounts and the crowded day of each, an array each.

    Args:
        account: Position in the block.
        rate: Natural transactions a day.
        phase: Where in its rhythm it begins, from 0 to 1.
        day: The crowded one.
        begin: Where the crowd begins, time of day in microseconds; -1 for a busy day, which needs no room around it.
        mark: What crowds the day.
    """

    account: Array
    rate: Array
    phase: Array
    day: Array
    begin: Array
    mark: Array

    def counts(self, day: int) -> Array:
        """Natural transactions of each account on a day: two neighbouring numbers, evenly mixed."""
        return _whole((day + 1) * self.rate + self.phase) - _whole(day * self.rate + self.phase)


def draw_injections(
    draws: Draws, layout: Layout, block: Block, accounts: Accounts, merchants: Merchants
) -> tuple[Regular, Planned]:
    """Everything planned for a block."""
    order = np.argsort(draws.uniform(block.ordinary), kind="stable").astype(np.int32)
    regular = _draw_regular(draws, layout, block, order[: block.regular])
    parts = [
        *_crowds(draws, regular, accounts, merchants),
        _amounts(draws, layout, block, order[block.regular :], accounts, merchants),
        *_boundary_accounts(draws, layout, block, accounts),
    ]
    joined = [np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Planned)]
    # Stable: rows of one burst keep their order.
    by_day = np.argsort(joined[1], kind="stable")
    return regular, Planned(*(values[by_day] for values in joined))


def _draw_regular(draws: Draws, layout: Layout, block: Block, account: Array) -> Regular:
    count = len(account)
    low, high = economy.REGULAR_ACTIVITY
    mark = np.repeat(np.array(list(block.crowded), np.int8), list(block.crowded.values()))
    begin = between(draws, (_FIRST_BURST, _LAST_BURST), count)
    return Regular(
        account,
        layout.mean_rows_a_day * (low + (high - low) * draws.uniform(count)),
        draws.uniform(count),
        between(draws, (0, layout.days - 1), count),
        np.where(mark == Mark.BUSY_DAY, -1, begin),
        mark,
    )


def _crowds(draws: Draws, regular: Regular, accounts: Accounts, merchants: Merchants) -> Iterator[Planned]:
    """Bursts, busy days and the decoys beside bursts, each kind at once."""
    for mark, draw_offsets in _OFFSETS.items():
        of_kind = np.flatnonzero(regular.mark == mark)
        size, offsets = draw_offsets(draws, len(of_kind))
        event = np.repeat(of_kind, size)
        account, rows = regular.account[event], len(event)
        time = np.maximum(regular.begin[event], 0) + offsets
        marks = np.full(rows, mark, np.int8)
        if mark == Mark.BUSY_DAY:
            merchant = pick_merchants(draws, accounts, merchants, account)
            cents = pick_cents(draws, accounts, merchants, account, merchant)
        else:
            merchant = np.repeat(merchants.any_online(draws, len(of_kind)), size)
            ends = economy.CARD_TESTING_CENTS if mark == Mark.CARD_TESTING else economy.DECOY_CENTS
            cents = between(draws, ends, rows)
        if mark == Mark.CARD_TESTING:
            marks[places(size) < _UNFIRED] = Mark.BURST_BEGIN
        yield Planned(account, regular.day[event], time, merchant, cents, marks)


def _burst(draws: Draws, count: int) -> tuple[Array, Array]:
    """Sizes of bursts and offsets of their transactions in microseconds: whole seconds, so that some share a stamp."""
    size = between(draws, economy.BURST_ROWS, count)
    return size, _rising(draws, size, (0, 59))


def _ten(draws: Draws, count: int) -> tuple[Array, Array]:
    size = np.full(count, 10)
    return size, _rising(draws, size, (0, 59))


def _eleven_in_60(draws: Draws, count: int) -> tuple[Array, Array]:
    return _eleven(draws, count, 60)


def _eleven_in_61(draws: Draws, count: int) -> tuple[Array, Array]:
    return _eleven(draws, count, 61)


def _eleven(draws: Draws, count: int, seconds: int) -> tuple[Array, Array]:
    """Eleven transactions, the last exactly that long after the first, the others in between."""
    size = np.full(count, 11)
    offsets = _rising(draws, size, (1, seconds - 1)).reshape(count, 11)
    offsets[:, 0], offsets[:, -1] = 0, seconds * SECOND
    return size, offsets.ravel()


def _busy_day(draws: Draws, count: int) -> tuple[Array, Array]:
    """Transactions that keep at least half a slot between them: 12 minutes for the most."""
    size = between(draws, economy.BUSY_DAY_ROWS, count)
    first = np.repeat(between(draws, _BUSY_BEGIN, count), size)
    slot = np.repeat(_BUSY_LASTS // size, size)
    return size, first + places(size) * slot + (draws.uniform(len(first)) * (slot // 2)).astype(np.int64)


_OFFSETS = {
    Mark.CARD_TESTING: _burst,
    Mark.BUSY_DAY: _busy_day,
    Mark.TEN_IN_A_MINUTE: _ten,
    Mark.BURST_OF_60_SECONDS: _eleven_in_60,
    Mark.BURST_OF_61_SECONDS: _eleven_in_61,
}


def _rising(draws: Draws, size: Array, seconds: tuple[int, int]) -> Array:
    """For each burst offsets in rising order, microseconds, the first 0."""
    burst = np.repeat(np.arange(len(size)), size)
    offset = between(draws, seconds, len(burst))
    rising = offset[np.lexsort((offset, burst))]
    rising[np.cumsum(size) - size] = 0
    return rising * SECOND


def _amounts(
    draws: Draws, layout: Layout, block: Block, order: Array, accounts: Accounts, merchants: Merchants
) -> Planned:
    """Very high amounts, then amounts out of line; one an account as far as accounts go, never two on a day."""
    total = block.very_high + block.out_of_line
    turn, place = np.divmod(np.arange(total), max(1, len(order)))
    turns = -(-total // max(1, len(order)))
    account = order[place]
    first = between(draws, (0, layout.days - 1), len(order))
    day = (first[place] + turn * max(1, layout.days // max(1, turns))) % layout.days
    low, high = economy.OUT_OF_LINE_DEVIATIONS
    deviations = low + (high - low) * draws.uniform(total)
    mean, deviation = mean_and_deviation(accounts.segment[account], merchants.category[accounts.home[account]])
    above = np.rint(mean + deviations * deviation)
    cents = np.minimum(above, _BELOW_VERY_HIGH_CENTS).astype(np.int64)
    cents[: block.very_high] = draws.pick(_very_high(), block.very_high)
    mark = np.repeat(np.array([Mark.VERY_HIGH, Mark.OUT_OF_LINE], np.int8), (block.very_high, block.out_of_line))
    time = pick_times(draws, accounts, account)
    return Planned(account, day, time, pick_merchants(draws, accounts, merchants, account), cents, mark)


def _boundary_accounts(draws: Draws, layout: Layout, block: Block, accounts: Accounts) -> Iterator[Planned]:
    """Accounts with one transaction a day on evenly spaced days."""
    first = block.ordinary
    for kind, count in block.boundary.items():
        size, cents, is_marked = draw_boundary_amounts(draws, kind, count)
        account = np.repeat(np.arange(first, first + count, dtype=np.int32), size)
        day = places(size) * layout.days // np.repeat(size, size)
        mark = np.where(is_marked, kind, Mark.NATURAL).astype(np.int8)
        yield Planned(account, day, pick_times(draws, accounts, account), accounts.home[account, 0], cents, mark)
        first += count


def _very_high() -> Array:
    """Quantiles of very high amounts in cents."""
    rest = 1 - (np.arange(QUANTILES) + 0.5) / QUANTILES
    amounts = _VERY_HIGH_CENTS * rest ** (-1 / economy.VERY_HIGH_SHAPE)
    return np.minimum(np.rint(amounts), economy.LARGEST_CENTS).astype(np.int64)


def _whole(values: Array) -> Array:
    return np.floor(values).astype(np.int64)
