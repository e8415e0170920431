"""Driver of test_publish_killed: publishes in forked children that kill themselves at the N-th step.

Called as ``publish_in_forks.py ROOT kill`` (a lake per step under ROOT, old rows published, new ones killed;
prints the number of steps) and ``publish_in_forks.py ROOT finish`` (publish the new rows again everywhere).
A process of its own, as delta-rs must not have started its threads before a fork.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import lake.publish as publishing
from lake.candidate import Balance, Candidate
from lake.lake import Lake
from lake.tables import quarantine_of, table
from tests.lake.conftest import RUN, passing

PLANS = table("bronze.plans")
FILE_CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.link")


def stage(lake: Lake, batch: str) -> Candidate:
    """Six rows in two files and three quarantined ones."""
    staging = lake.staging(RUN.run_id)
    staging.mkdir(parents=True, exist_ok=True)

    def file(name: str, schema: pa.Schema, key: str, ids: list[str]) -> Path:
        rows: dict[str, list[Any]] = {n: [None] * len(ids) for n in schema.names}
        pq.write_table(
            pa.table(rows | {key: ids, "_batch_id": [batch] * len(ids)}, schema=schema), staging / f"{batch}{name}"
        )
        return staging / f"{batch}{name}"

    files = tuple(file(str(i), PLANS.schema, "plan_id", [f"{batch}-{i}-{r}" for r in range(3)]) for i in range(2))
    bad = file("bad", quarantine_of(PLANS).schema, "quarantine_id", [f"{batch}{r}" for r in range(3)])
    return Candidate("bronze.plans", files, Balance(9, 6, 0, 3), (bad,), "append", (batch,))


def count_steps(deadly: int) -> None:
    """Kill this process at the `deadly`-th change of the file system."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(lambda event, _: step() if event in FILE_CHANGES else None)


def publish(root: Path, batch: str, deadly: int = 0) -> bool:
    """Publish in a fork; whether it lived."""
    child = os.fork()
    if child == 0:
        lake = Lake(root)
        lake.prepare()
        candidate = stage(lake, batch)
        count_steps(deadly)
        publishing.publish(lake, candidate, passing(candidate), RUN, {})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise SystemExit("publishing failed")
    return os.WIFEXITED(status)


def main(root: Path, phase: str) -> None:
    pa.array(["x"])  # pyarrow looks for pandas at the first conversion; once here instead of in every child
    if phase == "finish":
        for lake_root in sorted(root.iterdir()):
            publish(lake_root, "new")
        return
    step = 0
    lived = False
    while not lived:
        step += 1
        publish(root / f"step{step:02d}", "old")
        lived = publish(root / f"step{step:02d}", "new", step)
    sys.stdout.write(str(step - 1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
