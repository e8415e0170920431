"""Run a command as a whole process tree and say how long it took and how much memory it held."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_S = 0.02
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class BenchError(RuntimeError):
    """A measured command failed; the message holds its last output."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run.

    Args:
        seconds: Wall time.
        peak_bytes: Highest resident memory of the process and all its descendants together, sampled every 20 ms.
        output: Standard output.
    """

    seconds: float
    peak_bytes: int
    output: str


def measure(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Measured:
    """Run `command` once in the folder of `log`, where its standard error goes.

    Raises:
        BenchError: It failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    output = log.with_suffix(".out")
    began, peak = time.monotonic(), 0
    with log.open("wb") as errors, output.open("wb") as answers:
        process = subprocess.Popen(
            command, stdout=answers, stderr=errors, cwd=log.parent, env={**os.environ, **environment}
        )
        while process.poll() is None:
            peak = max(peak, sum(_resident_bytes(pid) for pid in _tree(process.pid)))
            time.sleep(_SAMPLE_S)
    seconds = time.monotonic() - began
    if process.returncode != 0:
        raise BenchError(f"{' '.join(command)} failed:\n{log.read_text()[-2000:]}")
    return Measured(seconds, peak, output.read_text())


def _tree(root: int) -> Iterator[int]:
    """A process and its descendants; a child belongs to the thread that started it."""
    yield root
    for thread in _listing(Path(f"/proc/{root}/task")):
        for child in _read(thread / "children").split():
            yield from _tree(int(child))


def _listing(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _resident_bytes(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * _PAGE_BYTES if fields else 0
