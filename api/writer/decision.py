"""Which rows of a group are new: decided once for every row, whether its twin is in the ledger or in the same group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from api.writer.ledger import Flags, Ledger, Seen, SortedPrints, Versions, Words, prints_of

# Of an id.
_Print = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Rows:
    """Typed rows that are to be decided on; see Block. Prints are None where nobody has made them yet."""

    table: pa.Table
    prints: SortedPrints | None = None
    strict: bool = False


@dataclass(slots=True)
class Block:
    """Rows decided on together: the single rows of a group, or one batch.

    Args:
        rows: Typed rows.
        seen: What the ledger knows of them.
        strict: Whether one conflict keeps all of them out.
        new: Which of them this group adds.
        repeated: Which are there already, or are added by another of this group with the same values.
    """

    rows: pa.Table
    seen: Seen
    strict: bool = False
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

    @property
    def added(self) -> Flags:
        """Rows that the commit will have."""
        return np.zeros_like(self.new) if self.is_refused else self.new

    def versions(self, committed: int) -> Versions:
        """Version of each row, where those not in the ledger are committed as `committed`."""
        return np.where(self.seen.known, self.seen.versions, committed)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Blocks whose prints lie in one order; the numbers of their rows go on from block to block."""

    prints: SortedPrints
    blocks: Sequence[Block]
    places: Sequence[slice]

    @classmethod
    def of(cls, parts: Sequence[Rows], prints: SortedPrints, ledger: Ledger) -> _Asked:
        seen = ledger.find(prints)
        ends = np.cumsum([part.table.num_rows for part in parts]).tolist()
        places = [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]
        blocks = [Block(p.table, seen.part(at), p.strict) for p, at in zip(parts, places, strict=True)]
        return cls(prints, blocks, places)

    def among(self, ids: Words) -> Iterator[tuple[Block, SortedPrints]]:
        """Each block with those of its rows that have one of some ids, in the order of rows and numbered within it."""
        at = np.searchsorted(ids, self.prints.prints.ids)
        at[at == len(ids)] = 0
        found = self.prints.take(ids[at] == self.prints.prints.ids)
        found = found.take(np.argsort(found.rows))
        for block, place in zip(self.blocks, self.places, strict=True):
            inside = slice(*np.searchsorted(found.rows, [place.start, place.stop]))
            yield block, SortedPrints(found.prints.part(inside), found.rows[inside] - place.start)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the rows of a group.

    Args:
        blocks: One for each part, in their order.
        asked: The same blocks with their prints.
    """

    blocks: list[Block]
    asked: Sequence[_Asked]

    def added(self) -> list[SortedPrints]:
        """Prints of the rows that the commit will have, in one or several orders."""
        return [a.prints.of_rows(np.concatenate([block.added for block in a.blocks])) for a in self.asked]


def decide(parts: Sequence[Rows], key: str, ledger: Ledger) -> Decision:
    """Decide on the rows of a group.

    Of rows that meet their twins inside the group the first is new, the others repeat it or contradict it. Parts with
    prints come before those without, which are hashed and looked up together: a question costs more than a few rows do.

    Args:
        parts: Rows that go in or stay out as one where they are strict.
        key: The id's column.
        ledger: What is in the table.
    """
    bare = [part for part in parts if part.prints is None]
    asked = [_Asked.of([part], part.prints, ledger) for part in parts if part.prints is not None]
    alone = (a.blocks[0] for a in asked)
    together: Iterator[Block] = iter(())
    if bare:
        prints = prints_of(pa.concat_tables([part.table for part in bare]), key)
        asked = [*asked, _Asked.of(bare, prints, ledger)]
        together = iter(asked[-1].blocks)
    _settle_twins(asked)
    return Decision([next(together if part.prints is None else alone) for part in parts], asked)


def _settle_twins(asked: Sequence[_Asked]) -> None:
    if not asked:
        return
    # Sorting what is nearly sorted finds twins in a fraction of the time of np.unique, which hashes.
    ids = np.sort(np.concatenate([a.prints.prints.ids for a in asked]), kind="stable")
    twins = ids[1:][ids[1:] == ids[:-1]]
    if not len(twins):
        return
    added: dict[_Print, int] = {}
    for a in asked:
        for block, found in a.among(twins):
            own = _settle(block, found, added)
            # Rows of a batch that is refused whole are nobody's twins.
            if not block.is_refused:
                added |= own


def _settle(block: Block, found: SortedPrints, added: dict[_Print, int]) -> dict[_Print, int]:
    """Settle rows of a block by those added before them; what it adds."""
    own: dict[_Print, int] = {}
    prints = found.prints
    for row, ident, check, values in zip(
        found.rows.tolist(), prints.ids.tolist(), prints.checks.tolist(), prints.values.tolist(), strict=True
    ):
        if not block.new[row]:
            continue
        first = added.get((ident, check), own.get((ident, check)))
        if first is None:
            own[ident, check] = values
        else:
            block.new[row] = False
            block.repeated[row] = first == values
    return own
