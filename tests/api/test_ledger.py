"""The ledger knows exactly what a dictionary of the window would know."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.writer.ledger import Ledger, Prints, SortedPrints, prints_of

HOUR_S = 3_600.0


def rows(*ids: str, amount: str = "1.00") -> pa.Table:
    amounts = pa.array([Decimal(amount)] * len(ids), pa.decimal128(18, 2))
    return pa.table({"transaction_id": pa.array(ids, pa.string()), "amount": amounts})


def prints(*ids: str, amount: str = "1.00") -> SortedPrints:
    return prints_of(rows(*ids, amount=amount), "transaction_id")


@dataclass
class Model:
    """What the ledger should know: commits in order, the oldest dropped beyond the window."""

    window_rows: int
    commits: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def add(self, version: int, added: dict[str, str]) -> None:
        self.commits.append((version, added))
        while len(self.commits) > 1 and sum(len(c) for _, c in self.commits) > self.window_rows:
            del self.commits[0]

    def find(self, name: str) -> tuple[int, str] | None:
        return next(((v, c[name]) for v, c in self.commits if name in c), None)


names = st.sampled_from([f"t{i}" for i in range(60)])
groups = st.lists(st.dictionaries(names, st.sampled_from(["1.00", "2.00"]), min_size=1, max_size=12), max_size=40)


@given(groups, st.integers(5, 80))
def test_it_knows_what_a_dictionary_of_the_window_knows(given_groups: list[dict[str, str]], window_rows: int) -> None:
    ledger, model = Ledger(window_rows, HOUR_S), Model(window_rows)
    for version, group in enumerate(given_groups):
        fresh = {name: amount for name, amount in group.items() if model.find(name) is None}
        asked = prints_of(pa.concat_tables([rows(n, amount=a) for n, a in group.items()]), "transaction_id")
        seen = ledger.find(asked)
        for i, (name, amount) in enumerate(group.items()):
            expected = model.find(name)
            assert bool(seen.known[i]) == (expected is not None)
            if expected is not None:
                assert (int(seen.versions[i]), bool(seen.same[i])) == (expected[0], expected[1] == amount)
        if fresh:
            ledger.add([asked.of_rows(~seen.known)], version, float(version))
            model.add(version, fresh)
        assert len(ledger) == sum(len(c) for _, c in model.commits)


def test_commits_older_than_the_window_are_forgotten() -> None:
    ledger = Ledger(1_000_000, HOUR_S)
    ledger.add([prints("old")], 1, 0.0)
    ledger.add([prints("young")], 2, HOUR_S - 1)
    assert ledger.find(prints("old", "young")).known.tolist() == [True, True]
    ledger.add([prints("new")], 3, HOUR_S + 1)
    assert ledger.find(prints("old", "young", "new")).known.tolist() == [False, True, True]


def test_a_row_is_found_with_its_version() -> None:
    ledger = Ledger(1_000, HOUR_S)
    ledger.add([prints("a", "b")], 7, 0.0)
    assert int(ledger.find(prints("b")).versions[0]) == 7
    assert not ledger.find(prints("c")).known[0]


@pytest.mark.parametrize("count", [1, 10_000])
def test_memory_does_not_grow_with_what_was_forgotten(count: int) -> None:
    """Runs and filter are bounded by the window, whatever the size of the commits."""
    generator, ledger = np.random.default_rng(1), Ledger(20_000, HOUR_S)
    held = []
    for version in range(2_000 if count == 1 else 60):
        words = [generator.integers(0, 2**63, count, dtype=np.uint64) for _ in range(3)]
        ledger.add([SortedPrints.of(Prints(*words))], version, 0.0)
        held.append(sum(len(run) for run in ledger._runs))
    assert max(held) <= 20_000 * 3 + count


def test_the_values_print_tells_any_change_of_a_row() -> None:
    assert prints("a").prints.values[0] == prints("a").prints.values[0]
    assert prints("a").prints.values[0] != prints("a", amount="1.01").prints.values[0]
