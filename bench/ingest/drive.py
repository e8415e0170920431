"""The load generator started as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ingest.bodies import Form
from bench.measure import BenchError
from lake.settings import PROJECT_ROOT

_KEY_VARIABLE = "BENCH_KEY"


@dataclass(frozen=True, slots=True)
class Volume:
    """What a load sends, and how much of it.

    Args:
        form: What requests carry.
        rows: Rows of each.
        connections: Requests under way at a time.
        seconds: After these no new request is sent.
        warmup_s: Seconds before them that are no part of the figures.
        versions: Ends earlier when answers span this many versions.
        path: Endpoint; None for the service's own of the form.
    """

    form: Form
    rows: int
    connections: int
    seconds: float
    warmup_s: float = 0.0
    versions: int | None = None
    path: str | None = None


def drive(volume: Volume, port: int, key: str | None, folder: Path) -> dict[str, Any]:
    """Run the load on loopback and return its figures (`bench.ingest.figures.Figures`), and beside them
    `acknowledged_rows`, the warm-up's included, `sent`, the requests, and `process_cpu_s`, all that the generator took.

    Raises:
        BenchError: The generator failed.
    """
    target = folder / "figures.json"
    options = {
        "--port": port, "--form": volume.form.value, "--rows": volume.rows, "--connections": volume.connections,
        "--seconds": volume.seconds, "--warmup-s": volume.warmup_s, "--versions": volume.versions,
        "--path": volume.path, "--key-variable": _KEY_VARIABLE, "--json": target,
    }  # fmt: skip
    given = [text for name, value in options.items() if value is not None for text in (name, str(value))]
    variables = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), _KEY_VARIABLE: key or ""}
    command = [sys.executable, "-m", "bench.ingest.load", *given]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the load generator failed:\n{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return figures
