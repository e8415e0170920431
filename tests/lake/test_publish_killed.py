"""kill -9 at every step of a publish leaves the old or the new version, whole; running again ends right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl

from lake.gated import last_gated
from lake.lake import Lake
from lake.tables import table

PROJECT = Path(__file__).resolve().parents[2]
OLD = [f"old-{i}-{r}" for i in range(2) for r in range(3)]
BOTH = sorted(OLD + [f"new-{i}-{r}" for i in range(2) for r in range(3)])


def drive(root: Path, phase: str) -> str:
    command = [sys.executable, "-m", "tests.lake.publish_in_forks", str(root), phase]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(root: Path, name: str, column: str) -> list[str]:
    gated = last_gated(Lake(root), table(name))
    return sorted(pl.concat([pl.read_parquet(f) for f in gated.files])[column]) if gated else []


def test_killed_at_every_step_the_lake_is_whole_and_the_next_run_completes_it(tmp_path: Path) -> None:
    steps = int(drive(tmp_path, "kill"))
    assert steps >= 8, "the driver no longer sees the steps of a publish"
    for root in sorted(tmp_path.iterdir()):
        assert read(root, "bronze.plans", "plan_id") in (OLD, BOTH), f"torn in {root.name}"
    drive(tmp_path, "finish")
    for root in sorted(tmp_path.iterdir()):
        assert read(root, "bronze.plans", "plan_id") == BOTH, root.name
        quarantined = read(root, "quarantine.bronze_plans", "quarantine_id")
        assert quarantined == [f"{batch}{r}" for batch in ("new", "old") for r in range(3)], root.name
