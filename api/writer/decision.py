"""Which rows of a group are new: decided once for every row, whether its twin is in the ledger or in the same group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from api.writer.ledger import Flags, Ledger, Prints, Seen, Versions, prints_of


@dataclass(slots=True)
class Block:
    """Rows decided on together: the single rows of a group, or one batch.

    Args:
        rows: Typed rows.
        prints: Theirs.
        seen: What the ledger knows of them.
        strict: Whether one conflict keeps all of them out.
        distinct: Whether each id stands once.
        new: Which of them this group adds.
        repeated: Which are there already, or are added by another of this group with the same values.
    """

    rows: pa.Table
    prints: Prints
    seen: Seen
    strict: bool = False
    distinct: bool = False
    new: Flags = field(init=False)
    repeated: Flags = field(init=False)

    def __post_init__(self) -> None:
        self.new = ~self.seen.known
        self.repeated = self.seen.same.copy()

    @property
    def conflicts(self) -> Flags:
        """Rows whose id is there with other values."""
        return ~(self.new | self.repeated)

    @property
    def is_refused(self) -> bool:
        return self.strict and bool(self.conflicts.any())

    def versions(self, committed: int) -> Versions:
        """Version of each row, where those not in the ledger are committed as `committed`."""
        return np.where(self.seen.known, self.seen.versions, committed)


@dataclass(frozen=True, slots=True)
class Rows:
    """Typed rows that are to be decided on; see Block. Prints are None where nobody has made them yet."""

    table: pa.Table
    prints: Prints | None = None
    strict: bool = False
    distinct: bool = False


def blocks_of(parts: Sequence[Rows], key: str, ledger: Ledger) -> list[Block]:
    """Rows with what the ledger knows of them: asked once for all, as a question costs more than a few rows do."""
    if not parts:
        return []
    prints = _prints_of(parts, key)
    seen = ledger.find(Prints.joined(prints))
    return [
        Block(part.table, own, seen.part(place), part.strict, part.distinct)
        for part, own, place in zip(parts, prints, _places([part.table for part in parts]), strict=True)
    ]


def _prints_of(parts: Sequence[Rows], key: str) -> list[Prints]:
    """Prints of each part; those that are missing are made at once, for the same reason."""
    bare = [part.table for part in parts if part.prints is None]
    made: Iterator[Prints] = iter(())
    if bare:
        together = prints_of(pa.concat_tables(bare), key)
        made = (together.part(place) for place in _places(bare))
    return [next(made) if part.prints is None else part.prints for part in parts]


def _places(tables: Sequence[pa.Table]) -> list[slice]:
    """Where the rows of each table lie when all are joined."""
    ends = np.cumsum([table.num_rows for table in tables]).tolist()
    return [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]


def decide(blocks: Sequence[Block]) -> None:
    """Settle rows that meet their twins inside the group: the first is new, the others repeat it or contradict it."""
    if not blocks or (len(blocks) == 1 and blocks[0].distinct):
        return
    # Sorting finds twins in a fraction of the time of np.unique, which hashes.
    ids = np.sort(np.concatenate([block.prints.ids for block in blocks]))
    if not (ids[1:] == ids[:-1]).any():
        return
    added: dict[tuple[int, int], int] = {}
    for block in blocks:
        prints = block.prints
        own: dict[tuple[int, int], int] = {}
        for i in np.flatnonzero(block.new).tolist():
            row = (int(prints.ids[i]), int(prints.checks[i]))
            values = int(prints.values[i])
            first = added.get(row, own.get(row))
            if first is None:
                own[row] = values
            else:
                block.new[i] = False
                block.repeated[i] = first == values
        # Rows of a batch that is refused whole are nobody's twins.
        if not block.is_refused:
            added |= own
