"""Ids seen in the window: which rows are in the table already, with what values, in which version.

Log-structured: sorted runs of 64-bit hashes, merged as they grow up to a length whose merge takes a tenth of a second;
a lookup is a binary search in each (O'Neil et al., "The Log-Structured Merge-Tree", 1996). 32 bytes a row where a
dictionary of Python's takes some 250. An id is known by 128 bits of hash; of two rows out of 10 million, a chance of
about 10^-25 that they are taken for one.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Words = npt.NDArray[np.uint64]
Versions = npt.NDArray[np.int64]
Moments = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

# Runs of one size that are merged into one: more are quicker to add to and slower to search.
_RUNS_OF_A_SIZE = 8
_LONGEST_RUN = 2**20
# At sixteen bits a row, three of them set, one in a hundred new rows has to be searched for in the runs; at the eight
# that are left before the filter is made anew, one in thirty.
_FILTER_BITS_PER_ROW = 16
_FILTER_BITS_SET = 3
_BITS_OF_A_PLACE = 6
_WORD_BITS = 2**_BITS_OF_A_PLACE
# Not the same in two processes, so that nobody can prepare ids that collide.
_SEED = secrets.randbits(63)


@dataclass(frozen=True, slots=True)
class Prints:
    """Hashes of rows: of the id, twice, and of all values."""

    ids: Words
    checks: Words
    values: Words

    def take(self, chosen: Places | Flags) -> Prints:
        return Prints(self.ids[chosen], self.checks[chosen], self.values[chosen])

    def part(self, rows: slice) -> Prints:
        """Some of them, without copying."""
        return Prints(self.ids[rows], self.checks[rows], self.values[rows])

    @classmethod
    def joined(cls, parts: Sequence[Prints]) -> Prints:
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "checks", "values")))


@dataclass(frozen=True, slots=True)
class SortedPrints:
    """Prints in ascending order of ids: in it each search begins where the one before ended, and a run is made.

    Args:
        prints: In that order.
        rows: Number of the row each is of.
    """

    prints: Prints
    rows: Places

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, prints: Prints) -> SortedPrints:
        """Prints that were in the order of their rows."""
        order = np.argsort(prints.ids)
        return cls(prints.take(order), order)

    def take(self, chosen: Places | Flags) -> SortedPrints:
        """Some of them, chosen in this order."""
        return SortedPrints(self.prints.take(chosen), self.rows[chosen])

    def of_rows(self, chosen: Flags) -> SortedPrints:
        """Those of some rows, chosen in the order of rows."""
        return self if chosen.all() else self.take(chosen[self.rows])


def prints_of(rows: pa.Table, key: str) -> SortedPrints:
    """Hashes of typed rows, in the order that the ledger asks for.

    Args:
        rows: Declared payload columns.
        key: The id's column.
    """
    frame = pl.from_arrow(rows, rechunk=False)
    assert isinstance(frame, pl.DataFrame), "a table becomes a frame"
    return SortedPrints.of(frame_prints(frame, key))


def frame_prints(frame: pl.DataFrame, key: str) -> Prints:
    """Hashes of rows in a Polars frame, in their order."""
    ids = frame[key]
    return Prints(ids.hash(_SEED).to_numpy(), ids.hash(_SEED + 1).to_numpy(), frame.hash_rows(_SEED).to_numpy())


@dataclass(frozen=True, slots=True)
class Seen:
    """What the ledger knows of rows, in the order of their numbers.

    Args:
        known: Whether the id is there.
        same: Whether it is there with the same values.
        versions: Where; 0 for what is not there.
    """

    known: Flags
    same: Flags
    versions: Versions

    def part(self, rows: slice) -> Seen:
        """What is known of some of them."""
        return Seen(self.known[rows], self.same[rows], self.versions[rows])


@dataclass(frozen=True, slots=True)
class _Run:
    prints: Prints
    versions: Versions

    @property
    def newest(self) -> int:
        return int(self.versions.max(initial=-1))

    def __len__(self) -> int:
        return len(self.versions)

    @classmethod
    def merged(cls, runs: Sequence[_Run], oldest: int) -> _Run:
        """Runs as one, without the rows of versions before `oldest`."""
        versions = np.concatenate([run.versions for run in runs])
        prints, kept = Prints.joined([run.prints for run in runs]), versions >= oldest
        if not kept.all():
            prints, versions = prints.take(kept), versions[kept]
        # The stable sort gains from parts that are in order.
        order = np.argsort(prints.ids, kind="stable")
        return cls(prints.take(order), versions[order])


class _Filter:
    """Says of most ids that were never added so, at the cost of one look into memory.

    A Bloom filter whose bits of an id lie in one word (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient
    Bloom Filters", 2007).
    """

    def __init__(self, window_rows: int) -> None:
        # Words are chosen by an id's highest bits, so that their number is a power of two.
        words = max(window_rows * _FILTER_BITS_PER_ROW // _WORD_BITS, 16)
        self._address_bits = (words - 1).bit_length()
        self._words = np.zeros(2**self._address_bits, np.uint64)
        self.rows = 0

    def _places(self, ids: Words) -> tuple[Places, Words]:
        """Word of each id, and its bits there: chosen by the id's bits that follow those of the word."""
        shift = _WORD_BITS - self._address_bits
        masks = np.zeros(len(ids), np.uint64)
        for nth in range(1, _FILTER_BITS_SET + 1):
            masks |= np.uint64(1) << ((ids >> np.uint64(shift - _BITS_OF_A_PLACE * nth)) & np.uint64(_WORD_BITS - 1))
        return (ids >> np.uint64(shift)).astype(np.intp), masks

    def may_hold(self, ids: Words) -> Flags:
        places, masks = self._places(ids)
        held: Flags = (self._words[places] & masks) == masks
        return held

    def add(self, ids: Words) -> None:
        """Add ids in ascending order, at least one: those of one word are neighbours then, and it is written once."""
        places, masks = self._places(ids)
        first = np.flatnonzero(np.concatenate(([True], places[1:] != places[:-1])))
        self._words[places[first]] |= np.bitwise_or.reduceat(masks, first)
        self.rows += len(ids)


class Ledger:
    """Seen ids of one table.

    Args:
        window_rows: Most rows to remember; the oldest commits are forgotten first.
        window_s: Longest time to remember a commit, seconds.
    """

    def __init__(self, window_rows: int, window_s: float) -> None:
        self._window_rows, self._window_s = window_rows, window_s
        self._runs: list[_Run] = []
        # Version, moment and rows of each commit in the window, oldest first.
        self._commits: deque[tuple[int, float, int]] = deque()
        self._rows = 0
        self._oldest = 0
        self._filter = _Filter(window_rows)

    def __len__(self) -> int:
        """Rows in the window."""
        return self._rows

    def find(self, asked: SortedPrints) -> Seen:
        """What is known of rows."""
        known, same = np.zeros(len(asked), np.bool_), np.zeros(len(asked), np.bool_)
        versions = np.zeros(len(asked), np.int64)
        maybe = asked.take(np.flatnonzero(self._filter.may_hold(asked.prints.ids)))
        for run in self._runs if len(maybe) else ():
            at = np.searchsorted(run.prints.ids, maybe.prints.ids)
            at[at == len(run)] = 0
            hit = np.flatnonzero(run.prints.ids[at] == maybe.prints.ids)
            hit = hit[run.prints.checks[at[hit]] == maybe.prints.checks[hit]]
            hit = hit[run.versions[at[hit]] >= self._oldest]
            rows = maybe.rows[hit]
            known[rows] = True
            same[rows] = run.prints.values[at[hit]] == maybe.prints.values[hit]
            versions[rows] = run.versions[at[hit]]
        return Seen(known, same, versions)

    def add(self, parts: Sequence[SortedPrints], version: int, moment: float) -> None:
        """Remember rows of a commit.

        Args:
            parts: Rows that are not in the ledger, in one or several orders.
            version: Of the commit; never below one added before.
            moment: Of the commit, seconds since the epoch.
        """
        filled = [part for part in parts if len(part)]
        if not filled:
            return
        self._commits.append((version, moment, sum(len(part) for part in filled)))
        self._rows += self._commits[-1][2]
        self._forget()
        for part in filled:
            self._add_run(_Run(part.prints, np.full(len(part), version, np.int64)))

    def add_many(self, prints: Prints, versions: Versions, moments: Moments) -> None:
        """Remember rows of several commits, none of them older than what was added before.

        Args:
            prints: Rows that are not in the ledger, those of the oldest commit first.
            versions: Commit of each row.
            moments: Its moment, seconds since the epoch.
        """
        if not len(versions):
            return
        for version, first, rows in zip(*np.unique(versions, return_index=True, return_counts=True), strict=True):
            self._commits.append((int(version), float(moments[first]), int(rows)))
        self._rows += len(versions)
        self._forget()
        for start in range(0, len(versions), _LONGEST_RUN):
            part = slice(start, start + _LONGEST_RUN)
            ascending = SortedPrints.of(prints.part(part))
            self._add_run(_Run(ascending.prints, versions[part][ascending.rows]))

    def _add_run(self, run: _Run) -> None:
        self._filter.add(run.prints.ids)
        self._runs.append(run)
        self._merge()
        if self._filter.rows > 2 * self._window_rows:
            self._filter = _Filter(self._window_rows)
            for held in self._runs:
                self._filter.add(held.prints.ids)

    def _merge(self) -> None:
        """Merge the newest runs as long as there are enough of about the size of the last."""
        while True:
            size, count, rows = len(self._runs[-1]), 0, 0
            for run in reversed(self._runs):
                if len(run) >= _RUNS_OF_A_SIZE * size or rows + len(run) > _LONGEST_RUN:
                    break
                count, rows = count + 1, rows + len(run)
            if count < _RUNS_OF_A_SIZE:
                return
            self._runs[-count:] = [_Run.merged(self._runs[-count:], self._oldest)]

    def _forget(self) -> None:
        """Let go of the commits that the newest one puts out of the window."""
        moment = self._commits[-1][1]
        while len(self._commits) > 1 and (
            self._rows > self._window_rows or self._commits[0][1] < moment - self._window_s
        ):
            version, _, rows = self._commits.popleft()
            self._rows -= rows
            self._oldest = version + 1
        # Runs lie in the order of their versions, the oldest first.
        while self._runs and self._runs[0].newest < self._oldest:
            del self._runs[0]
