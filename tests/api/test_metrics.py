"""Figures of a service's processes: shared, and rid of what killed ones left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

_KILLED = """
import os, signal
from api import metrics
metrics.INGEST_QUEUE_ROWS.set(7)
metrics.ROWS_COMMITTED.inc(5)
assert b"lakehouse_ingest_queue_rows 7.0" in metrics.exposition()
os.kill(os.getpid(), signal.SIGKILL)
"""
_SURVIVOR = """
from api import metrics
metrics.ROWS_COMMITTED.inc(2)
metrics.INGEST_QUEUE_ROWS.set(1)
print(metrics.exposition().decode())
"""
_LONE = """
import os
from api import metrics
print(os.environ["PROMETHEUS_MULTIPROC_DIR"])
"""


def run(code: str, temporary: Path, shared: Path | None, returncode: int = 0) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PROMETHEUS_")}
    environment = {**kept, "TMPDIR": str(temporary), "PYTHONPATH": str(PROJECT)}
    if shared is not None:
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(shared)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == returncode, done.stderr
    return done.stdout


def test_a_killed_process_queues_nothing_any_more_and_its_rows_stay_counted(tmp_path: Path) -> None:
    run(_KILLED, tmp_path, tmp_path / "shared", returncode=-9)
    figures = run(_SURVIVOR, tmp_path, tmp_path / "shared")
    assert "lakehouse_ingest_queue_rows 1.0" in figures
    assert "lakehouse_rows_committed_total 7.0" in figures


def test_a_service_sweeps_what_ended_ones_left_and_nothing_else(tmp_path: Path) -> None:
    first = Path(run(_LONE, tmp_path, None).strip())
    (first.parent / "notes").mkdir()
    second = Path(run(_LONE, tmp_path, None).strip())
    assert first.parent == second.parent
    assert sorted(path.name for path in first.parent.iterdir()) == sorted([second.name, "notes"])


def test_a_directory_of_somebody_else_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"lakehouse-metrics-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    run(_LONE, tmp_path, None, returncode=1)
    assert list((tmp_path / "elsewhere").iterdir()) == []
