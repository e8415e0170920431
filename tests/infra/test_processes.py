"""Processes by pid file: those that were started are ended, and a stranger who got the id later is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from infra import processes

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_started_process_is_found_by_name_and_ended_with_its_children(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"
    )
    process = processes.spawn(tmp_path, "worker", [sys.executable, "-c", parent], os.environ)
    assert processes.running(tmp_path) == {"worker": process.pid}
    assert processes.end(tmp_path) == ("worker",)
    assert process.wait(10) != 0
    assert processes.running(tmp_path) == {}
    assert list(tmp_path.glob("*.pid")) == []


def test_only_the_named_ones_are_ended(tmp_path: Path) -> None:
    started = [processes.spawn(tmp_path, name, SLEEP, os.environ) for name in ("server", "worker")]
    assert processes.end(tmp_path, {"worker"}) == ("worker",)
    assert list(processes.running(tmp_path)) == ["server"]
    assert processes.end(tmp_path) == ("server",)
    assert all(process.wait(10) for process in started)


def test_a_process_that_does_not_listen_to_sigterm_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    process = processes.spawn(tmp_path, "worker", [sys.executable, "-c", stubborn], os.environ)
    while "deaf" not in (tmp_path / "worker.log").read_text():
        time.sleep(0.05)
    assert processes.end(tmp_path, wait_s=0.5) == ("worker",)
    assert process.wait(10) == -9


def test_a_stranger_with_a_recorded_id_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(SLEEP)
    try:
        (tmp_path / "worker.pid").write_text(f"{stranger.pid} 1000.0\n")
        (tmp_path / "old.pid").write_text(f"{stranger.pid}\n")
        (tmp_path / "torn.pid").write_text("not a number\n")
        assert processes.running(tmp_path) == {}
        assert processes.end(tmp_path) == ()
        assert stranger.poll() is None
        assert list(tmp_path.glob("*.pid")) == []
    finally:
        stranger.kill()
        stranger.wait()


def test_the_last_line_that_says_something_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("one\nport in use\n\n  \n")
    assert processes.last_line(tmp_path / "a.log") == "port in use"
