"""Which rows of a group are new: decided once for every row, whether its twin is in the ledger or in the same group."""

from __future__ import annotations

from collections.abc import Sequence
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


def block_of(rows: pa.Table, key: str, ledger: Ledger, *, strict: bool = False, distinct: bool = False) -> Block:
    """Rows with what the ledger knows of them."""
    prints = prints_of(rows, key)
    return Block(rows, prints, ledger.find(prints), strict, distinct)


def decide(blocks: Sequence[Block]) -> None:
    """Settle rows that meet their twins inside the group: the first is new, the others repeat it or contradict it."""
    if not blocks or (len(blocks) == 1 and blocks[0].distinct):
        return
    ids = np.concatenate([block.prints.ids for block in blocks])
    if len(np.unique(ids)) == len(ids):
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
