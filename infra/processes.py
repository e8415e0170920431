"""Processes of one directory that outlive the command that started them: each with a pid file, a log and a group."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

STOP_WAIT_S = 15.0
_POLL_S = 0.1
# A process id is given again after a while, a process id with its start only once; the clock may be set meanwhile.
_START_TOLERANCE_S = 2.0


def spawn(
    directory: Path, name: str, command: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one, its output in ``NAME.log``, its id and start in ``NAME.pid``."""
    with (directory / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=cwd, start_new_session=True
        )
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).create_time()
        (directory / f"{name}.pid").write_text(f"{process.pid} {started}\n")
    return process


def running(directory: Path) -> dict[str, int]:
    """Process ids by name, of those pid files whose process is alive and the one that was started then."""
    found = {}
    for file in directory.glob("*.pid"):
        process = _recorded(file)
        if process is not None:
            found[file.stem] = process.pid
    return found


def end(directory: Path, names: Collection[str] | None = None, wait_s: float = STOP_WAIT_S) -> tuple[str, ...]:
    """End processes of the directory and what they started: SIGTERM, and SIGKILL after `wait_s`.

    Args:
        directory: Holds the pid files; those of ended and of dead processes are removed.
        names: Which to end, all when None.
        wait_s: Longest wait for all of them together, seconds.

    Returns:
        Names of those that were running.
    """
    chosen = {name: pid for name, pid in running(directory).items() if names is None or name in names}
    # Workers first: they end what they started, and do not wait for a master that is gone.
    for name in sorted(chosen, reverse=True):
        _signal_group(chosen[name], signal.SIGTERM)
    until = time.monotonic() + wait_s
    while chosen.keys() & running(directory).keys() and time.monotonic() < until:
        time.sleep(_POLL_S)
    for name in chosen.keys() & running(directory).keys():
        _signal_group(chosen[name], signal.SIGKILL)
    for file in directory.glob("*.pid"):
        if names is None or file.stem in names:
            file.unlink()
    return tuple(sorted(chosen))


def forget(directory: Path) -> None:
    """Remove all pid files."""
    for file in directory.glob("*.pid"):
        file.unlink()


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")


def _recorded(file: Path) -> psutil.Process | None:
    """The process a pid file names; None when it is gone, a zombie, or another got its id."""
    try:
        pid, started = file.read_text().split()
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process if abs(process.create_time() - float(started)) < _START_TOLERANCE_S else None
    except (OSError, ValueError, psutil.Error):
        return None


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
