"""The notebook's intervals and tests over many draws whose truth is known: as often right as they say they are."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tasks.notebook import NOTEBOOKS

pytestmark = pytest.mark.e2e
# Three standard errors of a share of 0.95 over 100 draws, 500 draws and 60 draws.
OVER_100, OVER_500, OVER_60 = 0.065, 0.030, 0.085


@pytest.fixture(scope="module")
def rates(rscript: str) -> dict[str, Any]:
    script = Path(__file__).with_name("coverage.R")
    done = subprocess.run(
        [rscript, "--no-init-file", str(script), str(NOTEBOOKS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", ["counts", "counts_lasting", "money_lasting"])
@pytest.mark.parametrize("change", ["previous", "year"])
def test_intervals_of_changes_hold_the_truth(rates: dict[str, Any], kind: str, change: str) -> None:
    assert rates[kind][change] >= 0.95 - OVER_100


def test_intervals_count_with_deviations_that_last(rates: dict[str, Any]) -> None:
    for kind in ("counts_lasting", "money_lasting"):
        assert rates[kind]["year"] > rates[kind]["naive_year"]


def test_experiments_without_effect_are_seldom_flagged(rates: dict[str, Any]) -> None:
    assert rates["experiments"]["family_false_finds"] <= 0.05 + OVER_500
    assert rates["experiments"]["false_mismatches"] <= 0.001 + OVER_500 / 3


def test_the_detectable_lift_is_found_four_times_in_five(rates: dict[str, Any]) -> None:
    assert rates["experiments"]["power_at_detectable"] == pytest.approx(0.8, abs=0.055)


def test_intervals_of_lifts_hold_the_truth_with_many_and_few_users(rates: dict[str, Any]) -> None:
    assert abs(rates["experiments"]["coverage"] - 0.95) <= OVER_500
    assert rates["experiments"]["coverage_few_users"] >= 0.95 - OVER_500


def test_support_without_effect_is_seldom_blamed_and_an_effect_is_found(rates: dict[str, Any]) -> None:
    assert rates["churn"]["no_effect_held"] >= 0.95 - OVER_60
    assert rates["churn"]["hazard_held"] >= 0.95 - OVER_60
    assert rates["churn"]["effect_found"] >= 0.95
