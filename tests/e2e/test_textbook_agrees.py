"""The peer in the benchmark computes what we compute; a faster wrong answer would be no comparison."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.e2e.conftest import PROJECT, SMALL, Cli

# Mart, its key, and the columns both sides have under these names; floats agree to nine digits.
COMPARED = (
    ("daily_kpis", ["kpi_date"], ["active_users", "weekly_active_users", "events", "signups", "collected", "refunded"]),
    ("conversion_funnel", ["cohort_month", "channel_id", "step_number"], ["users", "overall_conversion"]),
    (
        "revenue",
        ["revenue_month"],
        ["mrr_new", "mrr_reactivation", "mrr_expansion", "mrr_churn", "mrr_end", "invoiced"],
    ),
    ("channel_performance", ["channel_month", "channel_id"], ["new_users", "new_customers", "net_revenue", "roas"]),
    ("customer_health", ["user_id"], ["mrr", "active_days_28", "health_score"]),
    ("experiment_performance", ["experiment_id"], ["absolute_lift", "z_score"]),
)
TEXTBOOK_NAMES = {"month": "channel_month", "lift": "absolute_lift", "z": "z_score"}


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Exports of the lake and of the textbook pipeline from the same inbox, clean: the textbook has fewer rules."""
    folder = tmp_path_factory.mktemp("textbook")
    cli = Cli(folder, {**SMALL, "LAKEHOUSE_GENERATE__DIRT_SHARE": "0"})
    for verb in ("generate", "land", "build", "export"):
        cli(verb)
    command = [sys.executable, "-m", "bench.textbook", str(folder / "data/inbox"), "t.db", "exports"]
    subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(PROJECT)}, check=True, capture_output=True)
    return folder / "data/exports", folder / "exports"


def read(path: Path, keys: list[str], columns: list[str]) -> pl.DataFrame:
    frame = pl.read_csv(path, infer_schema=False).rename(lambda name: TEXTBOOK_NAMES.get(name, name))
    dated = [pl.col(key).str.slice(0, 7 if key == "channel_month" else 10) for key in keys if key != "user_id"]
    numbers = [pl.col(column).cast(pl.Float64).fill_null(0.0).round(9) for column in columns]
    return frame.with_columns(*dated, *numbers).select(*keys, *columns).sort(keys)


@pytest.mark.e2e
@pytest.mark.parametrize(("mart", "keys", "columns"), COMPARED, ids=[mart for mart, *_ in COMPARED])
def test_the_textbook_pipeline_comes_to_the_same_marts(
    both: tuple[Path, Path], mart: str, keys: list[str], columns: list[str]
) -> None:
    ours, theirs = (read(exports / f"{mart}.csv", keys, columns) for exports in both)
    if mart == "channel_performance":
        # Ours has a row for every channel and month, theirs only where something happened.
        ours = ours.join(theirs.select(keys), on=keys, how="semi").sort(keys)
    assert ours.height == theirs.height > 0
    for column in (*keys, *columns):
        left, right = ours[column], theirs[column]
        if left.dtype == pl.Float64:
            worst = ((left - right).abs() / (1 + right.abs())).max()
            assert worst is not None
            assert worst < 1e-9, (column, worst)  # type: ignore[operator]
        else:
            assert left.equals(right), column
