"""The Spark job finds what the oracle finds: row for row, on thousands of random histories and on every boundary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.rules import AmountMethod, AnomalyRules
from lake.tables.anomalies import TRANSACTION_ANOMALIES
from tests.spark.boundaries import BOUNDARIES, hourly
from tests.spark.conftest import Detect, Row
from tests.spark.oracle import Transaction, judge
from tests.spark.worlds import (
    DAY_US,
    START_US,
    World,
    as_table,
    drawn,
    packed,
    payload,
    smaller,
    world_number,
    worlds,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DEFAULT = AnomalyRules()
CHANGED = AnomalyRules(
    velocity_count=3,
    velocity_window_s=5,
    z_threshold=1.25,
    mad_threshold=1.5,
    min_history=3,
    zero_spread_ratio=Decimal("1.005"),
    very_high_amount=Decimal("50.00"),
    frequency_z_threshold=0.75,
    frequency_min_count=2,
    frequency_min_days=3,
)
RULES = {
    f"{name}-{method.value}": replace(rules, amount_method=method)
    for name, rules in (("default", DEFAULT), ("changed", CHANGED))
    for method in AmountMethod
}
WORLDS = 1_500
# A z has nine digits behind the point, and a tie at the tenth may round either way.
Z_TIE = 1.000001e-9
SCORE_TIE = 0.500001e-6
RUN_COLUMNS = {"detected_at", "run_id", "source_version"}


@pytest.fixture(scope="module")
def many() -> list[World]:
    return drawn(worlds(), WORLDS)


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_job_and_oracle_agree_row_for_row_on_random_worlds(
    detected: Detect, many: list[World], rules: AnomalyRules
) -> None:
    def differing(candidates: Sequence[World]) -> set[int]:
        rows = packed(candidates)
        return {world_number(key) for key in differences(rows, detected(rows, rules), rules)}

    if numbers := differing(many):
        smallest = smaller(min((many[number] for number in numbers), key=len), differing)
        told = differences(smallest, detected(smallest, rules), rules)
        pytest.fail(f"{len(numbers)} of {len(many)} worlds differ, the smallest found: {smallest}\n{told}")


def test_random_worlds_reach_every_rule_basis_and_special_case(many: list[World]) -> None:
    """What the worlds never reach, their agreement says nothing about."""
    rows = packed(many)
    for rules in RULES.values():
        verdicts = judge(rows, rules).values()
        amounts = [v.amount for v in verdicts if v.amount]
        days = [v.day for v in verdicts if v.day]
        reached = {
            "each rule alone": len({v.rules for v in verdicts if len(v.rules) == 1}) == 4,
            "several rules": any(len(v.rules) >= 3 for v in verdicts),
            "in a burst without a rule": any(v.burst_id and not v.rules for v in verdicts),
            "bases": {a.basis for a in amounts} == {"account", "peers"},
            "spread of zero": any(a.z is None and a.center for a in amounts),
            "spread of zero around zero": any(a.z is None and not a.center for a in amounts),
            "a z of amounts": any(a.z for a in amounts),
            "equal days": any(d.z is None for d in days),
            "a z of days": any(d.z for d in days),
            "quiet rows": len(verdicts) < len(rows),
        }
        assert [name for name, is_reached in reached.items() if not is_reached] == [], rules


@pytest.mark.parametrize("method", list(AmountMethod))
def test_job_and_oracle_agree_on_each_boundary(detected: Detect, method: AmountMethod) -> None:
    rows, rules = packed(list(BOUNDARIES.values())), replace(DEFAULT, amount_method=method)
    names = list(BOUNDARIES)
    told = differences(rows, detected(rows, rules), rules)
    assert {f"{names[world_number(key)]}: {key}": what for key, what in told.items()} == {}


@pytest.mark.parametrize("ratio", ["1.005", "1.1", "1.15", "2.3"])
def test_a_ratio_is_taken_as_the_decimal_that_was_written(detected: Detect, ratio: str) -> None:
    """As a product of doubles 1.005 · 1000 is less than 1005."""
    rules, limit = replace(DEFAULT, zero_spread_ratio=Decimal(ratio)), int(Decimal(ratio) * 1_000)
    rows = packed([hourly(*[1_000] * 10, limit), hourly(*[1_000] * 10, limit + 1)])
    assert list(detected(rows, rules)) == ["1/a010"]


@pytest.mark.parametrize("method", list(AmountMethod))
def test_job_and_oracle_agree_when_one_account_has_half_of_all_rows(detected: Detect, method: AmountMethod) -> None:
    random, rules = Random(7), replace(DEFAULT, amount_method=method)
    accounts = ["hot"] * 400 + [f"a{number % 33}" for number in range(400)]
    rows = [
        Transaction(
            f"t{number:04}", account, random.choice("cd"), START_US + random.randrange(30 * DAY_US),
            random.choice([random.randrange(1_000, 9_000), 250_000]) if number % 40 == 0 else random.randrange(5_000),
        )
        for number, account in enumerate(accounts)
    ]  # fmt: skip
    assert differences(rows, detected(rows, rules), rules) == {}


@st.composite
def masked_outliers(draw: st.DrawFn) -> World:
    """Three to five equal outliers beside at most 9 · (outliers - 1) usual amounts: together they widen the spread."""
    outliers = draw(st.integers(3, 5))
    usual = draw(st.lists(st.integers(900, 1_100), min_size=10, max_size=9 * (outliers - 1)))
    return hourly(*usual, *[draw(st.integers(50_000, 900_000))] * outliers)


def test_equal_outliers_hide_each_other_from_a_z_but_not_from_the_mad(detected: Detect) -> None:
    """With m usual amounts and k equal outliers a leave-one-out z stays below √(m / (k - 1)), whatever their size."""
    together = drawn(masked_outliers(), 100)
    alone = [world[: 1 - sum(row.cents >= 50_000 for row in world)] for world in together]
    for method, hidden in ((AmountMethod.Z, True), (AmountMethod.MAD, False)):
        rules = replace(DEFAULT, amount_method=method)
        outliers = {row.transaction_id for row in packed(together) if row.cents >= 50_000}
        fired = {key for key in _firing(detected(packed(together), rules)) if key in outliers}
        assert fired == (set() if hidden else outliers), method
        single = {row.transaction_id for row in packed(alone) if row.cents >= 50_000}
        assert len(single) == len(alone)
        assert single <= _firing(detected(packed(alone), rules)), method


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=40).filter(lambda amounts: len(set(amounts)) > 1))
def test_a_z_with_its_own_row_never_exceeds_its_bound(amounts: list[int]) -> None:
    """(n - 1) / √n. Source: Shiffler, Maximum Z Scores and Outliers, The American Statistician 42 (1), 1988."""
    assert all(_squared_z_with_itself(x, amounts) <= Fraction((len(amounts) - 1) ** 2, len(amounts)) for x in amounts)


@st.composite
def short_histories(draw: st.DrawFn) -> World:
    """Three to nine usual amounts that are not all equal, and one far away from them."""
    usual = draw(st.lists(st.integers(900, 1_100), min_size=3, max_size=9).filter(lambda c: len(set(c)) > 1))
    return hourly(*usual, 100_000)


def test_leaving_the_row_out_finds_what_a_z_with_its_own_row_cannot(detected: Detect) -> None:
    """Up to ten rows (n - 1) / √n is below 3; the job's z is not held down."""
    short, rules = drawn(short_histories(), 100), replace(DEFAULT, min_history=3)
    found = detected(packed(short), rules)
    for world, last in zip(short, _last_keys(short), strict=True):
        cents = [row.cents for row in world]
        assert _squared_z_with_itself(cents[-1], cents) < 3**2
        assert found[last]["rules"] == ["high_amount"]
        assert found[last]["amount_z"] > 3


def test_neither_order_nor_partitions_of_the_input_matter(detected: Detect, many: list[World]) -> None:
    rows = packed(many[:200])
    expected = detected(rows, CHANGED)
    shuffled = Random(3).sample(rows, len(rows))
    assert detected(shuffled, CHANGED) == expected
    assert detected(shuffled, CHANGED, partitions=7) == expected
    assert detected(rows[::-1], CHANGED, partitions=1) == expected


def test_amounts_of_others_change_nothing_but_comparisons_with_peers(detected: Detect, many: list[World]) -> None:
    def others_shifted(world: World) -> World:
        own = world[0].account_id
        return tuple(row if row.account_id == own else replace(row, cents=row.cents // 2 + 77) for row in world)

    own_rows = [[row for row in world if row.account_id == world[0].account_id] for world in many]
    others = {f"{n}/{row.transaction_id}": len(rows) - 1 for n, rows in enumerate(own_rows) for row in rows}
    before = detected(packed(many), DEFAULT)
    after = detected(packed([others_shifted(world) for world in many]), DEFAULT)
    by_themselves = {key for key, count in others.items() if count >= DEFAULT.min_history}
    assert len(by_themselves & before.keys()) > 1_000
    assert [key for key in by_themselves if before.get(key) != after.get(key)] == []
    whatever_amounts = ("burst_id", "window_count", "day_count", "day_mean", "day_z")
    for key in others:
        assert [before.get(key, {}).get(c) for c in whatever_amounts] == [
            after.get(key, {}).get(c) for c in whatever_amounts
        ]


def test_no_transactions_give_no_anomalies_in_the_declared_columns(
    session: SparkSession, detected: Detect, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from spark.detection import detect

    assert detected([], DEFAULT) == {}
    samples: list[World] = [(), hourly(*[100] * 10, 900)]
    for rows in samples:
        file = tmp_path_factory.mktemp("declared") / "rows.parquet"
        pq.write_table(as_table(rows), file)
        found: pa.Table = detect(session.read.parquet(str(file)), DEFAULT).toArrow()
        declared = {c.name: c.type for c in TRANSACTION_ANOMALIES.columns if c.name not in RUN_COLUMNS}
        assert found.schema.names == list(declared)
        assert {name: _kind(found.schema.field(name).type) for name in declared} == {
            name: _kind(kind) for name, kind in declared.items()
        }


def differences(rows: Sequence[Transaction], found: Mapping[str, Row], rules: AnomalyRules) -> dict[str, str]:
    """What the job says otherwise than the oracle, by transaction."""
    verdicts, given_rows = judge(rows, rules), {row.transaction_id: row for row in rows}
    told = dict.fromkeys(found.keys() - verdicts.keys(), "found by the job alone")
    told |= dict.fromkeys(verdicts.keys() - found.keys(), "found by the oracle alone")
    for key in found.keys() & verdicts.keys():
        verdict, row = verdicts[key], found[key]
        expected = {name: value for name, value in payload(given_rows[key]).items() if name in row} | verdict.columns()
        wrong = {
            name: (row[name], value)
            for name, value in expected.items()
            if not (_is_score(row[name], verdict.score) if name == "score" else _equal(row[name], value))
        }
        if wrong:
            told[key] = f"job and oracle: {wrong}"
    return told


def _equal(found: object, expected: object) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=Z_TIE)
    return type(found) is type(expected) and found == expected


def _is_score(found: float, exact: Fraction) -> bool:
    return found == round(found, 6) and abs(Fraction(found) - exact) <= SCORE_TIE


def _firing(found: Mapping[str, Row]) -> set[str]:
    return {key for key, row in found.items() if "high_amount" in row["rules"]}


def _last_keys(given_worlds: Sequence[World]) -> list[str]:
    return [f"{number}/{world[-1].transaction_id}" for number, world in enumerate(given_worlds)]


def _squared_z_with_itself(x: int, amounts: Sequence[int]) -> Fraction:
    count, total = len(amounts), sum(amounts)
    squares = sum((count * amount - total) ** 2 for amount in amounts)
    return Fraction((count * x - total) ** 2 * (count - 1), squares)


def _kind(arrow: pa.DataType) -> str:
    """An Arrow type without the choices that engines make of their own: 32 or 64 bit offsets, names of list items."""
    return f"list of {_kind(arrow.value_type)}" if pa.types.is_list(arrow) else str(arrow).removeprefix("large_")
