"""One writer a lake: the second waits, and says for whom when it gives up.

The lock is the operating system's, so a killed holder leaves none behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lake.errors import LakeBusyError, StorageError
from lake.lake import Lake


@contextmanager
def writer_lock(lake: Lake, holder: str, wait_s: float) -> Iterator[None]:
    """Hold the lake's writer lock.

    Args:
        lake: The lake.
        holder: Words for the one who waits, such as the run's id.
        wait_s: Longest wait, seconds.

    Raises:
        LakeBusyError: Somebody else still holds it after `wait_s`.
        StorageError: The lock file cannot be made.
    """
    path = lake.root / ".writer.lock"
    note = lake.root / ".writer.holder"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise LakeBusyError(
            f"{_held_by(note)} is writing this lake; waited {wait_s:g} s",
            where=str(lake.root),
            mend="wait for it to end and run again, or raise lake.lock_wait_s",
        ) from None
    except OSError as error:
        raise StorageError(f"cannot lock the lake: {error.strerror}", where=str(path)) from None
    try:
        note.write_text(f"{holder} (process {os.getpid()})", encoding="utf-8")
        yield
    finally:
        lock.release()


def _held_by(note: Path) -> str:
    try:
        return note.read_text(encoding="utf-8") or "another run"
    except OSError:
        return "another run"
