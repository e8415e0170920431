"""Processes of one directory: each with a pid file, a log, a group of its own and a mark on its command line."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_WAIT_S = 15.0
_POLL_S = 0.2


def mark(directory: Path) -> list[str]:
    """Arguments that every process of the directory carries, and that one which got its id later does not."""
    return ["--properties-file", str(directory.resolve() / "spark.properties")]


def spawn(
    directory: Path, name: str, command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one, its output in ``NAME.log`` and its id in ``NAME.pid``."""
    with (directory / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    (directory / f"{name}.pid").write_text(f"{process.pid}\n")
    return process


def running(directory: Path) -> dict[str, int]:
    """Process ids by name, of those pid files whose process is alive and carries the directory's mark."""
    found = {}
    for file in directory.glob("*.pid"):
        pid = int(text) if (text := file.read_text().strip()).isdigit() else 0
        if pid and " ".join(mark(directory)) in _command_line(pid):
            found[file.stem] = pid
    return found


def end_all(directory: Path) -> tuple[str, ...]:
    """End the directory's processes and the executors they started: SIGTERM, and SIGKILL after `STOP_WAIT_S`.

    Returns:
        Names of those that were running. All pid files are removed, those of dead processes too.
    """
    found = running(directory)
    # Workers first: they end their executors, and do not wait for a master that is gone.
    for name in sorted(found, reverse=True):
        _signal_group(found[name], signal.SIGTERM)
    until = time.monotonic() + STOP_WAIT_S
    while running(directory) and time.monotonic() < until:
        time.sleep(_POLL_S)
    for pid in running(directory).values():
        _signal_group(pid, signal.SIGKILL)
    forget(directory)
    return tuple(sorted(found))


def forget(directory: Path) -> None:
    """Remove all pid files."""
    for file in directory.glob("*.pid"):
        file.unlink()


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")


def _command_line(pid: int) -> str:
    """Empty when the process is gone or a zombie."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    asked = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
