"""The Handbook's simulator, its measures and its protocol; the rules on a small population."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.handbook import bench_handbook
from bench.handbook.protocol import TEST_WEEK, in_test_week, ranked
from bench.handbook.ranking import Array, average_precision, card_precision
from bench.handbook.simulator import DAY_S, Payments, Population, Scenario, simulate
from lake.tables.bronze import TRANSACTIONS

BOOK = Population()
SMALL = replace(BOOK, customers=400)


@pytest.fixture(scope="module")
def payments() -> Payments:
    return simulate(SMALL, 1)


def payments_of(*rows: tuple[int, int, Scenario], customers: int = 10) -> Payments:
    """Payments by (customer, day, scenario), all of one amount at noon."""
    customer, day, scenario = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Payments(
        customer,
        np.zeros(len(day), np.int64),
        day * DAY_S + DAY_S // 2,
        np.full(len(day), 100),
        scenario,
        replace(BOOK, customers=customers),
    )


def test_the_book_s_population_makes_about_the_book_s_counts() -> None:
    payments = simulate(BOOK, 42)
    rows, frauds = len(payments.second), int((payments.scenario > 0).sum())
    # Published: 1,754,155 and 14,681. The customers' rates alone move the count by 0.8 % (one standard deviation), the
    # terminals and cards drawn the frauds by about 2 %.
    assert rows == pytest.approx(1_754_155, rel=0.03)
    assert frauds == pytest.approx(14_681, rel=0.08)
    week = in_test_week(payments)
    # Published for the test week: a share of frauds of 0.007.
    assert round(float((payments.scenario[week] > 0).mean()), 3) == 0.007


def test_amounts_above_220_are_all_fraud_and_all_of_scenario_1(payments: Payments) -> None:
    above = payments.cents > 22_000
    assert np.all(payments.scenario[above] > 0)
    assert np.all(above[payments.scenario == Scenario.HIGH_AMOUNT])


def test_all_payments_at_a_terminal_are_fraud_for_28_days_or_one_of_the_other_scenarios(payments: Payments) -> None:
    days = payments.day
    for terminal in np.unique(payments.terminal[payments.scenario == Scenario.TERMINAL])[:50]:
        here = payments.terminal == terminal
        marked = days[here & (payments.scenario == Scenario.TERMINAL)]
        if marked.max() - marked.min() < SMALL.terminal_days:
            between = here & (days >= marked.min()) & (days <= marked.max())
            assert np.all(payments.scenario[between] > 0)


def test_stolen_cards_pay_five_times_as_much(payments: Payments) -> None:
    stolen = payments.scenario == Scenario.CARD
    of_them = np.isin(payments.customer, np.unique(payments.customer[stolen]))
    genuine = payments.cents[of_them & (payments.scenario == Scenario.GENUINE)].mean()
    assert payments.cents[stolen].mean() / genuine == pytest.approx(5, rel=0.15)


def test_customers_buy_as_their_profile_says() -> None:
    honest = replace(SMALL, terminals_a_day=0, cards_a_day=0)
    payments = simulate(honest, 3)
    assert payments.second.min() > 0
    assert np.all(np.diff(payments.second) >= 0)
    # Two a day on average, of which 3.1 % fall outside of the day.
    assert len(payments.second) / SMALL.customers / SMALL.days == pytest.approx(2 * 0.969, rel=0.1)
    # The mean of uniform(5, 100), which replacing negative amounts by uniform ones moves by about a percent.
    assert payments.cents.mean() / 100 == pytest.approx(52.5 * 1.02, rel=0.06)
    of_day = payments.second % DAY_S
    assert of_day.mean() == pytest.approx(43_200, rel=0.01)
    assert len(np.unique(payments.terminal[payments.customer == 0])) <= 150


def test_a_customer_without_a_terminal_in_reach_buys_nothing() -> None:
    lonely = replace(BOOK, customers=50, terminals=2, days=10, radius=1.0, cards_a_day=0)
    assert len(simulate(lonely, 1).second) < 50 * 10


def test_a_seed_says_what_comes() -> None:
    tiny = replace(BOOK, customers=50, days=20)
    first, again, other = (simulate(tiny, seed).table() for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_payments_have_the_columns_of_transactions(payments: Payments) -> None:
    table = payments.table()
    assert [(f.name, f.type) for f in table.schema] == [(c.name, c.type) for c in TRANSACTIONS.payload]
    row = table.slice(7, 1).to_pylist()[0]
    assert row["amount"] == Decimal(int(payments.cents[7])) / 100
    assert row["occurred_at"] == datetime(2018, 4, 1, tzinfo=UTC) + timedelta(seconds=int(payments.second[7]))
    assert (row["transaction_id"], row["account_id"]) == ("T00000007", f"C{payments.customer[7]:08}")


SCORED = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=60)


def split(rows: list[tuple[int, bool]]) -> tuple[Array, Array]:
    return np.array([s for s, _ in rows], dtype=float), np.array([f for _, f in rows])


@pytest.mark.parametrize(
    ("scores", "fraud", "expected"),
    [
        ([0.9, 0.8, 0.7, 0.6], [True, False, True, False], (1 / 1 + 2 / 3) / 2),
        ([3, 2, 1], [True, True, False], 1.0),
        ([1, 2, 3], [True, False, False], 1 / 3),
        ([5, 5, 5, 5], [True, False, False, False], 0.25),
        # One threshold for the two of score 2: precision 1/2 for half of the recall, then 2/4 for the rest.
        ([2, 2, 0, 0], [True, False, True, False], 0.5 * 0.5 + 0.5 * 0.5),
    ],
)
def test_average_precision_by_hand(scores: list[float], fraud: list[bool], expected: float) -> None:
    assert average_precision(np.array(scores, dtype=float), np.array(fraud)) == pytest.approx(expected)


@given(SCORED)
def test_average_precision_knows_only_the_order_of_scores(rows: list[tuple[int, bool]]) -> None:
    scores, fraud = split(rows)
    found = average_precision(scores, fraud)
    if not fraud.any():
        assert np.isnan(found)
        return
    assert 0 < found <= 1
    assert average_precision(np.exp(scores), fraud) == pytest.approx(found)
    assert average_precision(scores[::-1], fraud[::-1]) == pytest.approx(found)
    assert average_precision(np.zeros(len(scores)), fraud) == pytest.approx(fraud.mean())
    assert average_precision(fraud.astype(float), fraud) == 1


def test_a_card_found_is_looked_at_no_more() -> None:
    card, day = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    scores, fraud = np.array([0.9, 0.1, 0.9, 0.1]), np.array([True, False, True, True])
    # Day 0 finds card 0; on day 1 it is closed, so card 1 comes first.
    assert card_precision(card, day, scores, fraud, k=1) == 1.0


def test_a_card_has_its_highest_score_and_any_fraud_of_the_day() -> None:
    card, day = np.array([0, 0, 1]), np.zeros(3, dtype=int)
    scores, fraud = np.array([0.9, 0.1, 0.5]), np.array([False, True, False])
    assert card_precision(card, day, scores, fraud, k=1) == 1.0
    assert card_precision(card, day, scores, fraud, k=2) == 0.5


def test_card_precision_is_of_k_cards_even_on_days_with_fewer() -> None:
    one = np.array([0])
    assert card_precision(one, one, np.array([1.0]), np.array([True]), k=100) == 0.01


def test_the_test_week_leaves_out_cards_whose_fraud_was_known_a_week_before() -> None:
    first = payments_of((0, 0, Scenario.GENUINE)).day_of(TEST_WEEK[0])
    payments = payments_of(
        (1, first - 15, Scenario.CARD),  # the day before the training week
        (2, first - 14, Scenario.CARD),  # its first day
        (3, first - 8, Scenario.CARD),  # known on the first day of the test week
        (4, first - 7, Scenario.CARD),  # known on its second day
        *((card, first, Scenario.GENUINE) for card in range(6)),
        *((card, first + 1, Scenario.GENUINE) for card in range(6)),
        (0, first + 7, Scenario.GENUINE),
    )
    chosen = in_test_week(payments)
    kept = [(int(c), int(d)) for c, d in zip(payments.customer[chosen], payments.day[chosen] - first, strict=True)]
    assert kept == [(0, 0), (1, 0), (4, 0), (5, 0), (0, 1), (1, 1), (5, 1)]


def test_one_scenario_is_ranked_against_genuine_payments_only() -> None:
    payments = payments_of((0, 0, Scenario.CARD), (1, 0, Scenario.TERMINAL), (2, 0, Scenario.GENUINE))
    scores, everything = np.array([0.5, 0.9, 0.1]), np.ones(3, dtype=bool)
    both, card = (ranked(payments, scores, everything, kind) for kind in (None, Scenario.CARD))
    assert (both.transactions, both.frauds, card.transactions, card.frauds) == (3, 2, 2, 1)
    assert (both.average_precision, card.average_precision) == (1.0, 1.0)


def test_the_rules_find_every_amount_above_220_and_stand_beside_the_published_models() -> None:
    pytest.importorskip("pysail")
    figures = bench_handbook(20_000)
    for setting in ("rules (z)", "rules (mad)"):
        (note,) = [n for n in figures["notes"] if n.startswith(f"{setting}: very_high_amount flagged")]
        counts = [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", note)]
        flagged, fraud, found, there = counts[:4]
        assert flagged == fraud > 0
        assert found == there > 0
    average = {(r["ranking"], r["period"], r["scenario"]): r["average_precision"] for r in figures["runs"]}
    assert average["bound: all fraud known", "all days", "all"] == 1
    share = {r["scenario"]: r["frauds"] / r["transactions"] for r in figures["runs"] if r["period"] == "all days"}
    assert 2 * share["3"] < average["rules (mad)", "all days", "3"] < 1
    table = {(row["ranking"], row["period"]): row for row in figures["table"]}
    assert table["random forest (published)", "test week"]["AP all"] == "0.658"
    assert all(list(row) == list(figures["table"][0]) for row in figures["table"])
