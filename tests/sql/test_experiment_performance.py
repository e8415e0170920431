"""The experiment mart: who counts, and its statistics against scipy's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

Evaluate = Callable[..., list[dict[str, Any]]]
Row = dict[str, Any]
T0 = datetime(2025, 1, 1, tzinfo=UTC)
# Promised in the declaration of p_value.
P_VALUE_ERROR = 1e-6


def counted(evaluate: Evaluate, n1: int, x1: int, n2: int, x2: int, unexposed: int = 0) -> Row:
    """The mart's row for so many exposed users and conversions, and unexposed users of control."""
    users = [(f"c{n}", "control", n < x1, True) for n in range(n1)]
    users += [(f"t{n}", "treatment", n < x2, True) for n in range(n2)]
    users += [(f"n{n}", "control", False, False) for n in range(unexposed)]
    key = {"experiment_id": "x"}
    [row] = evaluate("gold.experiment_performance", {
        "silver.experiment_assignments": [
            {**key, "assignment_id": u, "user_id": u, "variant": v, "assigned_at": T0} for u, v, _, _ in users
        ],
        "silver.experiment_exposures": [{**key, "user_id": u, "exposed_at": T0} for u, _, _, seen in users if seen],
        "silver.experiment_conversions": [{**key, "user_id": u, "converted_at": T0} for u, _, did, _ in users if did],
    })  # fmt: skip
    return row


ARM = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@settings(max_examples=40)
@given(control=ARM, treatment=ARM, unexposed=st.integers(0, 40))
def test_statistics_agree_with_scipy(
    evaluate: Evaluate, control: tuple[int, int], treatment: tuple[int, int], unexposed: int
) -> None:
    (n1, x1), (n2, x2) = control, treatment
    row = counted(evaluate, n1, x1, n2, x2, unexposed)
    counts = ("control_users", "control_conversions", "treatment_users", "treatment_conversions")
    assert tuple(row[c] for c in counts) == (n1, x1, n2, x2)
    p1, p2, pooled = x1 / n1, x2 / n2, (x1 + x2) / (n1 + n2)
    margin = stats.norm.ppf(0.975) * sqrt(p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2)
    assert row["absolute_lift"] == pytest.approx(p2 - p1)
    assert row["relative_lift"] == (pytest.approx((p2 - p1) / p1) if x1 else None)
    assert (row["lift_ci_low"], row["lift_ci_high"]) == pytest.approx((p2 - p1 - margin, p2 - p1 + margin))
    if 0 < pooled < 1:
        chi2 = stats.chi2_contingency([[x1, n1 - x1], [x2, n2 - x2]], correction=False)
        assert row["z_score"] ** 2 == pytest.approx(chi2.statistic)
        assert row["p_value"] == pytest.approx(chi2.pvalue, abs=P_VALUE_ERROR)
    else:
        assert (row["z_score"], row["p_value"]) == (None, None)
    ratio = stats.chisquare([n1 + unexposed, n2])
    assert row["sample_ratio_p_value"] == pytest.approx(ratio.pvalue, abs=P_VALUE_ERROR)
    assert row["has_sample_ratio_mismatch"] is bool(row["sample_ratio_p_value"] < 0.001)
    significant = row["p_value"] is not None and row["p_value"] < 0.05
    assert row["is_significant"] is (significant and not row["has_sample_ratio_mismatch"])


def test_a_lopsided_split_is_a_mismatch_and_nothing_is_significant(evaluate: Evaluate) -> None:
    row = counted(evaluate, 100, 5, 100, 60, unexposed=100)
    assert row["p_value"] < 1e-6
    assert (row["has_sample_ratio_mismatch"], row["is_significant"]) == (True, False)


def test_an_experiment_nobody_was_exposed_to_has_no_rates(evaluate: Evaluate) -> None:
    row = counted(evaluate, 0, 0, 0, 0, unexposed=1)
    rates = ("control_rate", "treatment_rate", "absolute_lift", "lift_ci_low", "z_score", "p_value")
    assert [row[name] for name in rates] == [None] * len(rates)
    assert (row["control_users"], row["is_significant"]) == (0, False)


def test_only_conversions_at_or_after_the_first_exposure_count_and_each_user_once(evaluate: Evaluate) -> None:
    def later(minutes: int) -> datetime:
        return T0 + timedelta(minutes=minutes)

    key = {"experiment_id": "x"}
    [row] = evaluate("gold.experiment_performance", {
        "silver.experiment_assignments": [
            *[{**key, "assignment_id": u, "user_id": u, "variant": "treatment", "assigned_at": T0} for u in "abc"],
            # Drawn again, later: the first variant stays.
            {**key, "assignment_id": "a2", "user_id": "a", "variant": "control", "assigned_at": later(9)},
        ],
        "silver.experiment_exposures": [
            *[{**key, "user_id": u, "exposed_at": later(5)} for u in "abb"],
            {**key, "user_id": "b", "exposed_at": later(8)},
        ],
        "silver.experiment_conversions": [
            {**key, "user_id": "a", "converted_at": later(4)},
            {**key, "user_id": "b", "converted_at": later(4)},
            *[{**key, "user_id": "b", "converted_at": later(5)}] * 2,
            {**key, "user_id": "c", "converted_at": later(6)},
        ],
    })  # fmt: skip
    assert (row["control_users"], row["treatment_users"], row["treatment_conversions"]) == (0, 2, 1)
