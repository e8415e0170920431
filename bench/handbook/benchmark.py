"""The rules' scores on the simulated payments, ranked as the Handbook ranks its models."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.handbook.protocol import PUBLISHED, TEST_WEEK, Ranked, in_test_week, ranked
from bench.handbook.simulator import Payments, Population, Scenario, simulate
from lake.rules import AmountMethod, AnomalyRules, Rule
from spark.session import sail_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Array = npt.NDArray[Any]

_SEED = 42
# Of the customers' mean of two a day over 183 days; the few seconds outside of a day are not counted.
_ROWS_A_CUSTOMER = 355
_FEWEST_CUSTOMERS = 100

_RULES = AnomalyRules(very_high_amount=Decimal(Population().high_amount))
_MAD = replace(_RULES, amount_method=AmountMethod.MAD)
# The defaults but for 220; then what other choices give. Median and MAD: frauds do not widen the yardstick they are
# measured with. No day has a million transactions: without the rule that the simulator has nothing to find for.
_SETTINGS = {
    "rules (z)": _RULES,
    "rules (mad)": _MAD,
    "rules (mad, no frequency)": replace(_MAD, frequency_min_count=1_000_000),
}

# Fraud looked for, by the number the book gives the scenario.
_KINDS = {"all": None, "1": Scenario.HIGH_AMOUNT, "2": Scenario.TERMINAL, "3": Scenario.CARD}


def bench_handbook(rows: int | None = None) -> dict[str, Any]:
    """Measure on the book's 5,000 customers (about 1.77 million transactions), or as many as make about `rows`.

    Returns:
        `table`: average precision (AP) and card precision of 100 (CP@100) of each ranking and period, on all fraud and
        by scenario, and the published ones; `notes`: what was simulated, and what each rule flagged; `runs`: every
        figure of ours.

    Raises:
        MissingToolError: pysail or pyspark is not installed.
    """
    began = time.monotonic()
    payments = simulate(_population(rows), _SEED)
    simulated_s = time.monotonic() - began
    runs: list[dict[str, Any]] = []
    notes = _simulated_notes(payments, simulated_s)
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder, sail_session() as spark:
        for name, rules in _SETTINGS.items():
            began = time.monotonic()
            week, _ = _detected(spark, payments, rules, Path(folder), TEST_WEEK[1])
            whole, fired = _detected(spark, payments, rules, Path(folder), None)
            seconds = time.monotonic() - began
            runs += _runs(payments, name, week, whole)
            notes += [f"{name}: {line}" for line in _rule_notes(payments, fired)]
            notes.append(f"{name}: judged twice, up to the end of the test week and whole, in {seconds:.1f} s")
    for name, known in _known(payments).items():
        runs += _runs(payments, name, known, known)
    table = [*_rows(runs), *(_published(name, *figures) for name, figures in PUBLISHED.items())]
    return {"table": table, "notes": [*notes, *_CAVEATS], "runs": runs}


def _known(payments: Payments) -> dict[str, Array]:
    """Rankings that need no detection: the simplest one, and the best there can be."""
    return {
        "amount alone": payments.cents,
        "bound: scenarios 1 and 3 known": np.isin(payments.scenario, (Scenario.HIGH_AMOUNT, Scenario.CARD)) * 1.0,
        "bound: all fraud known": (payments.scenario > 0) * 1.0,
    }


_CAVEATS = (
    "published models are trained on a week of labels; the rules know no labels, but see all transactions up to the "
    "end of the period they judge, later ones of the same week included",
    "of one scenario: fraud of the other two is left out of the ranking",
    "scenario 2 has ordinary amounts at compromised terminals; no rule keeps a merchant's past, so chance finds it",
)


def _population(rows: int | None) -> Population:
    if rows is None:
        return Population()
    return Population(customers=max(_FEWEST_CUSTOMERS, round(rows / _ROWS_A_CUSTOMER)))


def _detected(
    spark: SparkSession, payments: Payments, rules: AnomalyRules, folder: Path, until: date | None
) -> tuple[Array, dict[str, Array]]:
    """Score of every transaction, 0 where none, and which fired each rule; those after `until` are not shown."""
    from spark.detection import detect

    table = payments.table()
    if until is not None:
        # In order of time, so the first rows are those up to that day's end.
        table = table.slice(0, int(np.searchsorted(payments.day, payments.day_of(until), side="right")))
    source = folder / "payments.parquet"
    pq.write_table(table, source)
    found = (
        detect(spark.read.parquet(str(source)), rules)
        .selectExpr("CAST(substr(transaction_id, 2) AS BIGINT) AS row", "score", "rules")
        .toArrow()
    )
    row = found["row"].to_numpy()
    scores = np.zeros(len(payments.second))
    scores[row] = found["score"].to_numpy()
    lists = found["rules"].combine_chunks()
    fired = {rule.value: np.zeros(len(scores), dtype=bool) for rule in Rule}
    names = pc.list_flatten(lists).to_numpy(zero_copy_only=False)
    owners = row[pc.list_parent_indices(lists).to_numpy()]
    for rule, flags in fired.items():
        flags[owners[names == rule]] = True
    return scores, fired


def _runs(payments: Payments, name: str, week: Array, whole: Array) -> Iterator[dict[str, Any]]:
    periods = {"test week": (week, in_test_week(payments)), "all days": (whole, np.ones(len(whole), dtype=bool))}
    for period, (scores, chosen) in periods.items():
        for kind, scenario in _KINDS.items():
            yield _run(name, period, kind, ranked(payments, scores, chosen, scenario))


def _run(name: str, period: str, kind: str, figures: Ranked) -> dict[str, Any]:
    return {
        "ranking": name,
        "period": period,
        "scenario": kind,
        "transactions": figures.transactions,
        "frauds": figures.frauds,
        "average_precision": round(figures.average_precision, 4),
        "card_precision_100": round(figures.card_precision, 4),
    }


def _rows(runs: list[dict[str, Any]]) -> list[dict[str, str]]:
    """A row per ranking and period, a column per measure and scenario."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for run in runs:
        ranking, period, kind = run["ranking"], run["period"], run["scenario"]
        row = rows.setdefault((ranking, period), _empty_row(ranking, period))
        row[f"AP {kind}"] = _three_digits(run["average_precision"])
        row[f"CP@100 {kind}"] = _three_digits(run["card_precision_100"])
    return list(rows.values())


def _published(name: str, precision: float, cards: float) -> dict[str, str]:
    measured = {"AP all": _three_digits(precision), "CP@100 all": _three_digits(cards)}
    return _empty_row(f"{name} (published)", "test week") | measured


def _empty_row(ranking: str, period: str) -> dict[str, str]:
    measures = (f"{measure} {kind}" for measure in ("AP", "CP@100") for kind in _KINDS)
    return {"ranking": ranking, "period": period, **dict.fromkeys(measures, "")}


def _three_digits(value: float) -> str:
    return f"{value:.3f}"


def _simulated_notes(payments: Payments, seconds: float) -> list[str]:
    def counts(chosen: Array) -> str:
        of_each = np.bincount(payments.scenario[chosen], minlength=len(Scenario)).tolist()
        kinds = ", ".join(f"scenario {kind} {count:,}" for kind, count in enumerate(of_each) if kind)
        return f"{sum(of_each):,} transactions, {1 - of_each[0] / sum(of_each):.5f} of them fraud: {kinds}"

    return [
        f"simulated in {seconds:.1f} s {counts(np.ones(len(payments.second), dtype=bool))} "
        "(published: 1,754,155 and 0.00837)",
        f"test week: {counts(in_test_week(payments))}",
    ]


def _rule_notes(payments: Payments, fired: dict[str, Array]) -> Iterator[str]:
    """What each rule flagged over all days, in counts: a share of 1.0000 could hide a row."""
    for rule, flags in fired.items():
        if not flags.any():
            yield f"{rule} flagged nothing"
            continue
        found = np.bincount(payments.scenario[flags], minlength=len(Scenario)).tolist()
        there = np.bincount(payments.scenario, minlength=len(Scenario)).tolist()
        kinds = ", ".join(f"{found[kind]:,} of {there[kind]:,} of scenario {kind}" for kind in Scenario if kind)
        yield f"{rule} flagged {sum(found):,}, {sum(found[1:]):,} of them fraud: {kinds}"
