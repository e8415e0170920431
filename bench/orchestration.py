"""`lakehouse bench orchestration`: what Prefect costs a run and a task, and how long `up` takes to a completed run."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import cli.main
from bench.measure import measure
from infra.ports import free_port
from lake.settings import PROJECT_ROOT

STEPS = 200
_ROUNDS = 3
_GOAL_S = 60
_CASES = {
    "plain": "no Prefect",
    "own": "a server of the run's own",
    "standing": "a standing server",
}


def bench_orchestration(steps: int | None = None) -> dict[str, Any]:
    """Time runs of no steps and of `steps` steps that do nothing, and the platform from nothing to a completed run.

    Returns:
        `table`: a row per kind of server; `notes`: the platform in words; `runs`: every figure, seconds.

    Raises:
        BenchError: Something failed.
    """
    number = steps or STEPS
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as place:
        folder = Path(place)
        environment = {**cli.main.QUIET, "PYTHONPATH": str(PROJECT_ROOT)}
        platform = _platform(folder, environment)
        runs = [_case("plain", number, folder, environment), _case("own", number, folder / "own", environment)]
        server = _up(folder, environment, ())["parts"][0]["address"]
        try:
            standing = {**environment, "PREFECT_API_URL": f"{server}/api"}
            runs.append(_case("standing", number, folder, standing))
        finally:
            measure([sys.executable, "-m", "cli", "down"], environment, folder / "down.log")
    return {"table": [_row(run, runs[0]) for run in runs], "notes": _notes(platform), "runs": [*runs, platform]}


def _platform(folder: Path, environment: dict[str, str]) -> dict[str, float]:
    """Seconds from typing `up --run` in an empty folder: until all answer, then until the run is completed."""
    said = _up(folder, environment, ("--run", "medallion/medallion"))
    measure([sys.executable, "-m", "cli", "down"], environment, folder / "down.log")
    return {"ready": said["seconds"]["ready"], "run": said["seconds"]["run"], "whole": said["whole"]}


def _up(folder: Path, environment: dict[str, str], options: tuple[str, ...]) -> dict[str, Any]:
    ports = ("--prefect-port", str(free_port()), "--api-port", str(free_port()))
    run = measure([sys.executable, "-m", "cli", "up", "--json", *ports, *options], environment, folder / "up.log")
    said: dict[str, Any] = json.loads(run.output)
    return said | {"whole": round(run.seconds, 1)}


def _case(how: str, number: int, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    def seconds(steps: int) -> float:
        command = [sys.executable, "-m", "bench.empty_steps", how, str(steps)]
        return measure(command, environment, folder / f"{how}.log").seconds

    seconds(0)  # makes the database and the compiled files
    empty = statistics.median(seconds(0) for _ in range(_ROUNDS))
    full = statistics.median(seconds(number) for _ in range(_ROUNDS))
    return {"case": how, "steps": number, "empty_run": empty, "full_run": full}


def _row(run: dict[str, Any], plain: dict[str, Any]) -> dict[str, str]:
    return {
        "orchestrated by": _CASES[run["case"]],
        "empty run s": f"{run['empty_run']:.2f}",
        f"{run['steps']} tasks s": f"{run['full_run']:.2f}",
        "ms a task": f"{1000 * (run['full_run'] - run['empty_run']) / run['steps']:.1f}",
        "a run costs s": f"{run['empty_run'] - plain['empty_run']:.2f}",
    }


def _notes(platform: dict[str, float]) -> list[str]:
    return [
        f"up --run medallion/medallion in an empty folder: {platform['whole']:.1f} s to the first Completed run (goal "
        f"{_GOAL_S}), of which {platform['ready']:.1f} s until server, worker and service answered and flows were "
        f"deployed, on {os.cpu_count()} cores"
    ]
