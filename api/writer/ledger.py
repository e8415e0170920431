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
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Words = npt.NDArray[np.uint64]
Versions = npt.NDArray[np.int64]
Moments = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Runs of one size that are merged into one: more are quicker to add to and slower to search.
_RUNS_OF_A_SIZE = 8
_LONGEST_RUN = 2**20
# At sixteen bits a row one in sixteen new rows at most has to be searched for in the runs.
_FILTER_BITS_PER_ROW = 16
# Not the same in two processes, so that nobody can prepare ids that collide.
_SEED = secrets.randbits(63)


@dataclass(frozen=True, slots=True)
class Prints:
    """Hashes of rows, in their order: of the id, twice, and of all values."""

    ids: Words
    checks: Words
    values: Words

    def take(self, chosen: npt.NDArray[np.intp] | Flags) -> Prints:
        return Prints(self.ids[chosen], self.checks[chosen], self.values[chosen])

    def part(self, rows: slice) -> Prints:
        """Some of them, without copying."""
        return Prints(self.ids[rows], self.checks[rows], self.values[rows])

    @classmethod
    def joined(cls, parts: Sequence[Prints]) -> Prints:
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "checks", "values")))


def prints_of(rows: pa.Table, key: str) -> Prints:
    """Hashes of typed rows.

    Args:
        rows: Declared payload columns.
        key: The id's column.
    """
    frame = pl.from_arrow(rows, rechunk=False)
    assert isinstance(frame, pl.DataFrame), "a table becomes a frame"
    return frame_prints(frame, key)


def frame_prints(frame: pl.DataFrame, key: str) -> Prints:
    """The same of rows in a Polars frame."""
    ids = frame[key]
    return Prints(ids.hash(_SEED).to_numpy(), ids.hash(_SEED + 1).to_numpy(), frame.hash_rows(_SEED).to_numpy())


@dataclass(frozen=True, slots=True)
class Seen:
    """What the ledger knows of rows, in their order.

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

    @classmethod
    def of(cls, prints: Prints, versions: Versions, kind: Literal["quicksort", "stable"] = "quicksort") -> _Run:
        order = np.argsort(prints.ids, kind=kind)
        return cls(prints.take(order), versions[order])

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
        return cls.of(prints, versions, "stable")


class _Filter:
    """Says of most ids that were never added so, at the cost of one look into memory (Bloom, 1970, one hash)."""

    def __init__(self, window_rows: int) -> None:
        # Bytes are chosen by an id's highest bits, so that their number is a power of two.
        bits = max(window_rows * _FILTER_BITS_PER_ROW, 1024)
        self._address_bits = (bits - 1).bit_length() - 3
        self._bytes = np.zeros(2**self._address_bits, np.uint8)
        self.rows = 0

    def _places(self, ids: Words) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]:
        shift = 64 - self._address_bits
        masks = np.left_shift(np.uint8(1), ((ids >> np.uint64(shift - 3)) & np.uint64(7)).astype(np.uint8))
        return (ids >> np.uint64(shift)).astype(np.intp), masks

    def may_hold(self, ids: Words) -> Flags:
        places, masks = self._places(ids)
        held: Flags = (self._bytes[places] & masks) != 0
        return held

    def add(self, ids: Words) -> None:
        """Add ids in ascending order, at least one: those of one byte are neighbours then, and it is written once."""
        places, masks = self._places(ids)
        first = np.flatnonzero(np.concatenate(([True], places[1:] != places[:-1])))
        self._bytes[places[first]] |= np.bitwise_or.reduceat(masks, first)
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

    def find(self, prints: Prints) -> Seen:
        """What is known of rows."""
        count = len(prints.ids)
        known, same = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        versions = np.zeros(count, np.int64)
        maybe = np.flatnonzero(self._filter.may_hold(prints.ids))
        # In ascending order each search begins where the one before ended.
        maybe = maybe[np.argsort(prints.ids[maybe])]
        asked = prints.take(maybe)
        for run in self._runs if len(maybe) else ():
            at = np.searchsorted(run.prints.ids, asked.ids)
            at[at == len(run)] = 0
            hit = np.flatnonzero(
                (run.prints.ids[at] == asked.ids)
                & (run.prints.checks[at] == asked.checks)
                & (run.versions[at] >= self._oldest)
            )
            where = maybe[hit]
            known[where] = True
            same[where] = run.prints.values[at[hit]] == asked.values[hit]
            versions[where] = run.versions[at[hit]]
        return Seen(known, same, versions)

    def add(self, prints: Prints, version: int, moment: float) -> None:
        """Remember rows of a commit.

        Args:
            prints: Rows that are not in the ledger.
            version: Of the commit; never below one added before.
            moment: Of the commit, seconds since the epoch.
        """
        count = len(prints.ids)
        self.add_many(prints, np.full(count, version, np.int64), np.full(count, moment))

    def add_many(self, prints: Prints, versions: Versions, moments: Moments) -> None:
        """Remember rows of several commits, none of them older than what was added before.

        Args:
            prints: Rows that are not in the ledger.
            versions: Commit of each row.
            moments: Its moment, seconds since the epoch.
        """
        if not len(versions):
            return
        for version, first, rows in zip(*np.unique(versions, return_index=True, return_counts=True), strict=True):
            self._commits.append((int(version), float(moments[first]), int(rows)))
        self._rows += len(versions)
        self._forget(self._commits[-1][1])
        for start in range(0, len(versions), _LONGEST_RUN):
            part = slice(start, start + _LONGEST_RUN)
            run = _Run.of(prints.part(part), versions[part])
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

    def _forget(self, moment: float) -> None:
        while len(self._commits) > 1 and (
            self._rows > self._window_rows or self._commits[0][1] < moment - self._window_s
        ):
            version, _, rows = self._commits.popleft()
            self._rows -= rows
            self._oldest = version + 1
        # Runs lie in the order of their versions, the oldest first.
        while self._runs and self._runs[0].newest < self._oldest:
            del self._runs[0]
