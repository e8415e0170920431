"""What becomes of a group's rows is what a dictionary of ids, asked row by row, would say."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from api.writer.decision import Rows, decide
from api.writer.ledger import Ledger, prints_of

KEY = "transaction_id"
Row = tuple[str, str]


@dataclass(frozen=True)
class Part:
    rows: list[Row]
    strict: bool
    ahead: bool

    def typed(self) -> Rows:
        table = typed(self.rows)
        return Rows(table, prints_of(table, KEY) if self.ahead else None, self.strict)


def typed(rows: list[Row]) -> pa.Table:
    amounts = pa.array([Decimal(amount) for _, amount in rows], pa.decimal128(18, 2))
    return pa.table({KEY: pa.array([name for name, _ in rows], pa.string()), "amount": amounts})


def verdicts(part: Part, known: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """What is said of each row, and what the part adds."""
    said, own = [], dict[str, str]()
    for name, amount in part.rows:
        first = known.get(name, own.get(name))
        said.append("new" if first is None else "repeated" if first == amount else "conflict")
        if first is None:
            own[name] = amount
    return said, {} if part.strict and "conflict" in said else own


entries = st.tuples(st.sampled_from([f"t{i}" for i in range(12)]), st.sampled_from(["1.00", "2.00"]))
parts_of_groups = st.lists(st.builds(Part, st.lists(entries, max_size=6), st.booleans(), st.booleans()), max_size=6)


@given(parts_of_groups, st.dictionaries(st.sampled_from(["t0", "t1", "t2"]), st.sampled_from(["1.00", "2.00"])))
def test_every_row_is_decided_on_as_if_it_came_alone(parts: list[Part], before: dict[str, str]) -> None:
    ledger, known = Ledger(1_000, 3_600.0), dict(before)
    ledger.add([prints_of(typed([*before.items()]), KEY)], 1, 0.0)
    decision = decide([part.typed() for part in parts], KEY, ledger)
    added: dict[str, str] = {}
    for part, block in sorted(zip(parts, decision.blocks, strict=True), key=lambda entry: not entry[0].ahead):
        said, own = verdicts(part, known)
        assert block.new.tolist() == [word == "new" for word in said]
        assert block.repeated.tolist() == [word == "repeated" for word in said]
        assert block.conflicts.tolist() == [word == "conflict" for word in said]
        assert block.is_refused == (part.strict and "conflict" in said)
        known |= own
        added |= own
    ledger.add(decision.added(), 2, 1.0)
    assert len(ledger) == len(before) + len(added)
    found = ledger.find(prints_of(typed([*known.items()]), KEY))
    assert found.known.all()
    assert found.same.all()
    assert found.versions.tolist() == [2 if name in added else 1 for name in known]
