"""How many accounts, injections and rows there are and where each lies: arithmetic on the settings alone.

Accounts come in blocks of a fixed size, rows in cells: one day of one block. A cell depends on the settings and its
number alone; that is what makes rows independent of threads and chunks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from lake.errors import ConfigurationError
from lake.settings import TransactionSettings
from tasks.generation.draws import Array
from tasks.transactions import boundaries, economy
from tasks.transactions.marks import BOUNDARIES, CROWDED, DECOYS, Mark

BLOCK_ACCOUNTS = 65_536
# Above it an account's natural days would come near the ten transactions that make one unusual.
MOST_ROWS_A_DAY = 3.0
# A hot account's transactions have a slot each. 60 seconds of slots this long touch at most nine, midnight or not.
SHORTEST_HOT_SLOT_S = 7.5
MOST_HOT_ROWS_A_DAY = int(86_400 / SHORTEST_HOT_SLOT_S)
# Of accounts; the others must be left enough rows to fill the days.
LARGEST_REGULAR_SHARE = 1 / 3

_EPOCH = date(1970, 1, 1)
_ROWS_OF_A_MINUTE = {Mark.TEN_IN_A_MINUTE: 10, Mark.BURST_OF_60_SECONDS: 11, Mark.BURST_OF_61_SECONDS: 11}


@dataclass(frozen=True, slots=True)
class Block:
    """What one block of accounts holds; its accounts are numbered ordinary first, then boundary, then hot.

    Args:
        number: Of the block.
        first: Number of its first account.
        ordinary: Accounts with profiles; the regular ones are among them.
        crowded: Injections by kind, each with a regular account of its own.
        boundary: Accounts by kind whose every amount is known.
        hot: Accounts with a constant and high number of transactions a day.
        out_of_line: Transactions of unusual amount.
        very_high: Transactions of very high amount.
    """

    number: int
    first: int
    ordinary: int
    crowded: Mapping[Mark, int]
    boundary: Mapping[Mark, int]
    hot: int
    out_of_line: int
    very_high: int

    @property
    def accounts(self) -> int:
        return self.ordinary + sum(self.boundary.values()) + self.hot

    @property
    def regular(self) -> int:
        return sum(self.crowded.values())


class Layout:
    """Sizes of a whole feed.

    Args:
        settings: Everything but chunk and threads plays a part.

    Raises:
        ConfigurationError: An account would have more transactions or injections than the rules leave room for.
    """

    def __init__(self, settings: TransactionSettings) -> None:
        self.settings = settings
        self.days = settings.days
        self.first_day = (settings.start - _EPOCH).days
        self.hot_rows_a_day = _hot_rows_a_day(settings)
        self._hot = settings.hot_accounts if self.hot_rows_a_day else 0
        rows = settings.count - self._hot * self.hot_rows_a_day * settings.days
        self._ordinary = -(-rows // settings.rows_per_account)
        self.blocks = -(-self._ordinary // BLOCK_ACCOUNTS)
        self._injections = _injections(settings)
        self._require_room()

    @property
    def mean_rows_a_day(self) -> float:
        """Transactions an ordinary account has a day, on average."""
        return self.settings.rows_per_account / self.days

    @property
    def merchants(self) -> int:
        return max(economy.FEWEST_MERCHANTS, self._ordinary // economy.ACCOUNTS_PER_MERCHANT)

    def block(self, number: int) -> Block:
        """What that block holds."""
        by_kind = {kind: self._part(total, number) for kind, total in self._injections.items()}
        everything = (self._ordinary, self._hot, *(self._injections[kind] for kind in BOUNDARIES))
        return Block(
            number,
            sum(total * number // self.blocks for total in everything),
            self._part(self._ordinary, number),
            {kind: by_kind[kind] for kind in CROWDED},
            {kind: by_kind[kind] for kind in BOUNDARIES},
            self._part(self._hot, number),
            by_kind[Mark.OUT_OF_LINE],
            by_kind[Mark.VERY_HIGH],
        )

    def natural_rows(self, known: Array) -> Array:
        """Rows that the accounts without a burst or a busy day have in each cell, so that all cells hold `count`.

        Args:
            known: Rows of each cell that are fixed already, array (days, blocks).
        """
        total = self.settings.count - int(known.sum())
        blocks = [self.block(number) for number in range(self.blocks)]
        free = np.array([block.ordinary - block.regular for block in blocks], np.float64)
        weekday = (self.settings.start.weekday() + np.arange(self.days)) % 7
        weights = np.cumsum(np.outer(np.array(economy.WEEKDAY_ACTIVITY)[weekday], free))
        edges = np.rint(weights / weights[-1] * total).astype(np.int64)
        rows: Array = np.diff(edges, prepend=0).reshape(self.days, self.blocks)
        return rows

    def _part(self, total: int, block: int) -> int:
        return total * (block + 1) // self.blocks - total * block // self.blocks

    def _require_room(self) -> None:
        settings = self.settings
        if self.mean_rows_a_day > MOST_ROWS_A_DAY:
            raise ConfigurationError(
                f"{settings.rows_per_account} rows per account in {settings.days} days are more than "
                f"{MOST_ROWS_A_DAY:g} a day, which leaves no room below a day of unusual frequency",
                where="transactions.rows_per_account",
                mend=f"at most {int(MOST_ROWS_A_DAY * settings.days)}, or more days",
            )
        regular = sum(self._injections[kind] for kind in CROWDED)
        room = int(self._ordinary * LARGEST_REGULAR_SHARE)
        if regular > room:
            raise ConfigurationError(
                f"{regular} bursts and busy days need an account each; of {self._ordinary} at most {room} can bear one",
                where="transactions.burst_share, busy_day_share, decoy_share",
                mend="lower them or rows_per_account",
            )


def _hot_rows_a_day(settings: TransactionSettings) -> int:
    """Of each hot account: the same every day, as any other number beside equal ones would be unusual."""
    if not settings.hot_accounts:
        return 0
    wanted = int(settings.count * settings.hot_share / (settings.hot_accounts * settings.days))
    return min(wanted, MOST_HOT_ROWS_A_DAY)


def _injections(settings: TransactionSettings) -> dict[Mark, int]:
    """How often each kind is injected: the rows of its share by the rows it has on average."""
    count = settings.count
    known = dict.fromkeys(BOUNDARIES, boundaries.MEAN_ROWS) | _ROWS_OF_A_MINUTE
    groups = int(count * settings.decoy_share * len(DECOYS) / sum(known[kind] for kind in DECOYS))
    decoys = {kind: (groups + len(DECOYS) - 1 - place) // len(DECOYS) for place, kind in enumerate(DECOYS)}
    return {
        Mark.CARD_TESTING: _groups(count * settings.burst_share, economy.BURST_ROWS),
        Mark.BUSY_DAY: _groups(count * settings.busy_day_share, economy.BUSY_DAY_ROWS),
        Mark.OUT_OF_LINE: round(count * settings.out_of_line_share),
        Mark.VERY_HIGH: round(count * settings.very_high_share),
        **decoys,
    }


def _groups(rows: float, size: tuple[int, int]) -> int:
    return int(rows * 2 / sum(size))
