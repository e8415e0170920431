"""Evaluation of detection: figures by hand, laws of ratios and intervals, and what cannot be evaluated."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import BadInputError, MissingToolError, StorageError
from lake.rules import Rule
from lake.settings import EngineSettings
from lake.table import Table
from lake.tables.anomalies import TRANSACTION_ANOMALIES, TRANSACTION_TRUTH
from lake.tables.silver import TRANSACTIONS
from sql.engines.duckdb import DuckDBEngine
from tasks.evaluation import Estimate, Evaluation, draw, evaluate, to_dict
from tasks.evaluation.bootstrap import bootstrap, interval

FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC)
VELOCITY, HIGH, VERY_HIGH, FREQUENCY = (rule.value for rule in Rule)


@dataclass
class Case:
    """Transactions (id, account, amount, day), the rules each fired, and the truth (id, rule, why)."""

    transactions: list[tuple[str, str, str, int]]
    fired: dict[str, list[str]] = field(default_factory=dict)
    truth: list[tuple[str, str, str]] = field(default_factory=list)


Evaluate = Callable[..., Evaluation]


def files(folder: Path, table: Table, rows: Sequence[dict[str, Any]]) -> list[Path]:
    if not rows:
        return []
    names = [c.name for c in table.columns]
    target = folder / f"{table.full_name}.parquet"
    pq.write_table(pa.Table.from_pylist([{n: row.get(n) for n in names} for row in rows], table.schema), target)
    return [target]


def inputs(case: Case, folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    silver = [
        {
            "transaction_id": key,
            "account_id": account,
            "amount": Decimal(amount),
            "occurred_at": FIRST + timedelta(days=day),
            "transaction_date": (FIRST + timedelta(days=day)).date(),
        }
        for key, account, amount, day in case.transactions
    ]
    gold = [{"transaction_id": key, "rules": rules, "score": 0.5} for key, rules in case.fired.items()]
    truth = [dict(zip(TRANSACTION_TRUTH.column_names, row, strict=True)) for row in case.truth]
    return (
        files(folder, TRANSACTION_ANOMALIES, gold),
        files(folder, TRANSACTIONS, silver),
        files(folder, TRANSACTION_TRUTH, truth),
    )


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluate]:
    """Evaluates a case in one DuckDB."""
    scratch = tmp_path_factory.mktemp("evaluated")
    with DuckDBEngine(EngineSettings(), scratch / "spill") as engine:

        def run(case: Case, seed: int = 1, replicates: int = 200) -> Evaluation:
            return evaluate(engine, *inputs(case, scratch), seed=seed, replicates=replicates)

        yield run


# Account a: t1 found, t2 a false alarm; b: t3 missed, t4 found by two rules of which the truth names one; c: a decoy
# that fired and one that did not; d: a burst's early member, which is no alert.
BY_HAND = Case(
    [
        ("t1", "a", "100.00", 0),
        ("t2", "a", "5.00", 1),
        ("t3", "b", "300.00", 2),
        ("t4", "b", "20000.00", 3),
        ("t5", "c", "7.00", 3),
        ("t6", "c", "8.00", 3),
        ("t7", "d", "9.00", 9),
        ("t8", "d", "9.00", 9),
    ],
    {"t1": [HIGH], "t2": [HIGH], "t4": [HIGH, VERY_HIGH], "t5": [VELOCITY], "t7": []},
    [
        ("t1", HIGH, "out_of_line"),
        ("t3", HIGH, "out_of_line"),
        ("t4", VERY_HIGH, "very_high"),
        ("t5", "none", "tenth_in_a_minute"),
        ("t6", "none", "exactly_a_minute"),
    ],
)


def test_counts_and_ratios_of_a_case_by_hand(evaluated: Evaluate) -> None:
    evaluation = evaluated(BY_HAND)
    assert (evaluation.transactions, evaluation.accounts, evaluation.days, evaluation.not_landed) == (8, 4, 10, 0)
    high = evaluation.of(HIGH)
    assert (high.flagged, high.injected, high.true_positives, high.false_alarms, high.missed) == (3, 2, 1, 2, 1)
    # t4 fired it too and was injected, though not for this rule.
    assert high.injected_otherwise == 1
    assert high.precision.value == pytest.approx(1 / 3)
    assert high.recall.value == 0.5
    assert high.alerts_per_day.value == pytest.approx(0.3)
    assert high.value_weighted_recall.value == pytest.approx(100 / 400)


def test_a_transaction_counts_once_in_the_line_of_any_rule(evaluated: Evaluate) -> None:
    evaluation = evaluated(BY_HAND)
    assert [rule.rule for rule in evaluation.rules] == [VELOCITY, HIGH, VERY_HIGH, FREQUENCY, "any"]
    total = evaluation.of("any")
    assert (total.flagged, total.injected, total.true_positives, total.missed) == (4, 3, 2, 1)
    assert total.value_weighted_recall.value == pytest.approx(20100 / 20400)


def test_kinds_and_decoys_are_counted_apart(evaluated: Evaluate) -> None:
    evaluation = evaluated(BY_HAND)
    assert [(k.rule, k.why, k.injected, k.found) for k in evaluation.kinds] == [
        (HIGH, "out_of_line", 2, 1),
        (VERY_HIGH, "very_high", 1, 1),
    ]
    assert [(d.why, d.decoys, d.flagged) for d in evaluation.decoys] == [
        ("exactly_a_minute", 1, 0),
        ("tenth_in_a_minute", 1, 1),
    ]
    assert evaluation.decoys_flagged == 1


def test_ratios_without_a_denominator_are_undefined(evaluated: Evaluate) -> None:
    frequency = evaluated(BY_HAND).of(FREQUENCY)
    assert frequency.precision == frequency.recall == frequency.value_weighted_recall == Estimate(None, None, None)
    assert frequency.alerts_per_day == Estimate(0.0, 0.0, 0.0)


def test_without_anomalies_nothing_is_precise_and_everything_missed(evaluated: Evaluate) -> None:
    total = evaluated(Case(BY_HAND.transactions, {}, BY_HAND.truth)).of("any")
    assert (total.flagged, total.missed, total.precision.value) == (0, 3, None)
    assert total.recall == Estimate(0.0, 0.0, 0.0)


def test_a_burst_member_without_a_rule_is_no_alert_even_when_injected(evaluated: Evaluate) -> None:
    case = Case(BY_HAND.transactions, {"t7": [], "t8": [VELOCITY]}, [("t8", VELOCITY, "card_testing")])
    velocity = evaluated(case).of(VELOCITY)
    assert (velocity.flagged, velocity.precision, velocity.recall) == (
        1,
        Estimate(1.0, 1.0, 1.0),
        Estimate(1.0, 1.0, 1.0),
    )


def test_truth_that_did_not_land_is_counted_apart(evaluated: Evaluate) -> None:
    evaluation = evaluated(Case(BY_HAND.transactions, BY_HAND.fired, [*BY_HAND.truth, ("t9", HIGH, "out_of_line")]))
    assert evaluation.not_landed == 1
    assert evaluation.of(HIGH) == evaluated(BY_HAND).of(HIGH)


def test_a_seed_decides_the_intervals_and_nothing_else(evaluated: Evaluate) -> None:
    first, again, other = evaluated(BY_HAND), evaluated(BY_HAND), evaluated(BY_HAND, seed=2)
    assert first == again
    assert [r.flagged for r in first.rules] == [r.flagged for r in other.rules]
    assert first.of("any").alerts_per_day != other.of("any").alerts_per_day


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (Case([], {}, BY_HAND.truth), "no transactions"),
        (Case(BY_HAND.transactions, BY_HAND.fired, []), "nothing is known"),
        (Case(BY_HAND.transactions, BY_HAND.fired, [("x", HIGH, "out_of_line")]), "none of them in silver"),
        (Case(BY_HAND.transactions, {"x": [HIGH]}, BY_HAND.truth), "1 anomalies are of transactions"),
        (Case(BY_HAND.transactions, {"t1": ["odd"]}, BY_HAND.truth), "no rule is called 'odd'"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_with_what_to_type(evaluated: Evaluate, case: Case, message: str) -> None:
    with pytest.raises(BadInputError, match=message) as refused:
        evaluated(case)
    assert refused.value.mend


def test_no_replicates_are_refused(evaluated: Evaluate) -> None:
    with pytest.raises(BadInputError, match="0 bootstrap replicates"):
        evaluated(BY_HAND, replicates=0)


RULES = st.sets(st.sampled_from([VELOCITY, HIGH, VERY_HIGH, FREQUENCY]))
ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 10**7), st.integers(0, 20), RULES, RULES), min_size=1, max_size=40
).filter(lambda rows: any(injected for *_, injected in rows))


def _within(estimate: Estimate, most: float = 1.0) -> bool:
    if estimate.value is None:
        return estimate.low is None and estimate.high is None
    assert estimate.low is not None
    assert estimate.high is not None
    return 0 <= estimate.low <= estimate.value <= estimate.high and estimate.value <= most


@settings(max_examples=30)
@given(rows=ROWS)
def test_counts_add_up_ratios_are_shares_and_intervals_hold_them(
    evaluated: Evaluate, rows: list[tuple[int, int, int, set[str], set[str]]]
) -> None:
    case = Case(
        [(f"t{i}", f"a{account}", f"{cents / 100:.2f}", day) for i, (account, cents, day, *_) in enumerate(rows)],
        {f"t{i}": sorted(fired) for i, (*_, fired, _) in enumerate(rows)},
        [(f"t{i}", rule, "drawn") for i, (*_, injected) in enumerate(rows) for rule in sorted(injected)],
    )
    evaluation = evaluated(case)
    for at, figures in enumerate(evaluation.rules):
        fired = {i for i, row in enumerate(rows) if (figures.rule in row[3] if at < len(Rule) else row[3])}
        meant = {i for i, row in enumerate(rows) if (figures.rule in row[4] if at < len(Rule) else row[4])}
        assert (figures.flagged, figures.injected) == (len(fired), len(meant))
        assert figures.true_positives == len(fired & meant)
        assert figures.false_alarms == len(fired - meant) >= figures.injected_otherwise
        assert figures.missed == len(meant - fired)
        assert all(map(_within, (figures.precision, figures.recall, figures.value_weighted_recall)))
        assert _within(figures.alerts_per_day, most=len(rows))


@given(cuts=st.lists(st.integers(0, 30), max_size=5), replicates=st.integers(1, 9))
def test_the_bootstrap_does_not_depend_on_the_batches_accounts_come_in(cuts: list[int], replicates: int) -> None:
    counts = np.arange(60.0).reshape(30, 2)
    whole = bootstrap([counts], 7, replicates, 2)
    pieces = bootstrap(np.split(counts, sorted(cuts)), 7, replicates, 2)
    assert np.array_equal(whole, pieces, equal_nan=True)


def test_an_interval_is_as_wide_as_the_theory_of_sums_says() -> None:
    # 400 accounts, a quarter of which flags once: the share's standard error is sqrt(p (1 - p) / n).
    counts = np.zeros((400, 2))
    counts[:, 0] = 1
    counts[:100, 1] = 1
    sums = bootstrap([counts], 3, 4_000, 2)
    found = interval(sums[:, 1], sums[:, 0])
    assert found is not None
    expected = 1.96 * (0.25 * 0.75 / 400) ** 0.5
    assert found == pytest.approx((0.25 - expected, 0.25 + expected), abs=0.005)


def test_rows_of_one_account_make_the_interval_wider_than_rows_of_many(evaluated: Evaluate) -> None:
    def width(accounts: int) -> float:
        transactions = [(f"t{i}", f"a{i % accounts}", "1.00", 0) for i in range(100)]
        truth = [(f"t{i}", HIGH, "drawn") for i in range(100)]
        fired = {f"t{i}": [HIGH] for i in range(100) if i % accounts < accounts // 2}
        recall = evaluated(Case(transactions, fired, truth), replicates=1_000).of(HIGH).recall
        assert recall.low is not None
        assert recall.high is not None
        return recall.high - recall.low

    assert width(10) > 2 * width(100)


def test_programs_get_every_figure_as_json(evaluated: Evaluate) -> None:
    evaluation = evaluated(BY_HAND)
    plain = json.loads(json.dumps(to_dict(evaluation)))
    assert plain["decoys_flagged"] == 1
    assert plain["rules"][1]["recall"]["value"] == 0.5
    assert plain["kinds"][0] == {"rule": HIGH, "why": "out_of_line", "injected": 2, "found": 1}
    assert plain["rules"][3]["precision"] == {"value": None, "low": None, "high": None}


def test_the_picture_is_a_png_of_the_same_bytes_each_time(evaluated: Evaluate, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("one.png", "two.png"):
        draw(evaluated(BY_HAND), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_a_picture_that_cannot_be_written_is_explained_and_leaves_nothing(evaluated: Evaluate, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    taken = tmp_path / "picture.png"
    taken.mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        draw(evaluated(BY_HAND), taken)
    assert list(tmp_path.rglob("*")) == [taken]


def test_without_matplotlib_the_picture_says_what_is_missing(
    evaluated: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [m for m in sys.modules if m.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    # None in this place makes an import fail as a package that is not there does.
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingToolError, match="matplotlib is not installed"):
        draw(evaluated(BY_HAND), tmp_path / "picture.png")
    assert not list(tmp_path.iterdir())
