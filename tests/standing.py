"""Programs that tests start: ready before the test goes on, ended after it, their log in its failure."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

START_S, STOP_S = 120, 60


def answers(url: str, **options: Any) -> bool:
    """Whether a GET ends in a 2xx; nobody listening is no error."""
    try:
        return httpx.get(url, timeout=5, **options).is_success
    except httpx.TransportError:
        return False


def until(ask: Callable[[], Any], seconds: float, otherwise: Callable[[], str] = str) -> Any:
    """What `ask` answers as soon as that is true.

    Args:
        ask: Called again and again; an address that nobody listens at counts as not yet.
        seconds: Longest wait.
        otherwise: What to say, after how long was waited, when the time is over.

    Raises:
        AssertionError: The time is over.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if answer := ask():
                return answer
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds:g} s {otherwise()}")


@contextmanager
def standing(
    command: Sequence[str], log: Path, is_ready: Callable[[], bool], **started: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A process from the moment it is ready until SIGTERM has ended it.

    Args:
        command: Program and arguments.
        log: Gets what it prints, after what is there; told when it does not come up.
        is_ready: Asked until it is true.
        started: Handed to Popen: folder, environment, user.

    Raises:
        AssertionError: It ended, or was not ready in time.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **started)

    def is_up() -> bool:
        assert process.poll() is None, f"{command[0]} ended:\n{said()}"
        return is_ready()

    def said() -> str:
        return log.read_text(encoding="utf-8", errors="replace")

    try:
        until(is_up, START_S, said)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
