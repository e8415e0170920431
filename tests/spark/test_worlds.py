"""Worlds packed into one table stay as they are alone, and a difference is cut down to what it needs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lake.rules import AmountMethod, AnomalyRules
from tests.spark.boundaries import hourly
from tests.spark.oracle import judge
from tests.spark.worlds import World, drawn, packed, smaller, worlds


@pytest.mark.parametrize("method", list(AmountMethod))
def test_a_packed_world_is_judged_as_it_is_alone(method: AmountMethod) -> None:
    some, rules = drawn(worlds(), 50), AnomalyRules(amount_method=method)
    together = judge(packed(some), rules)
    for number, world in enumerate(some):
        alone = judge(world, rules)
        assert {key for key in together if key.startswith(f"{number}/")} == {f"{number}/{key}" for key in alone}
        for key, verdict in alone.items():
            assert together[f"{number}/{key}"].score == verdict.score


def test_a_world_is_cut_down_to_the_rows_that_differ() -> None:
    def holds_both(candidates: Sequence[World]) -> set[int]:
        return {n for n, world in enumerate(candidates) if {30, 70} <= {row.cents for row in world}}

    assert [row.cents for row in smaller(hourly(*range(0, 100, 10)), holds_both)] == [30, 70]
