"""How fast one key may ask, whichever worker process it reaches.

The generic cell rate algorithm (GCRA): a key has one number, the moment its next request is expected in theory; a
request that comes too long before it is refused, an accepted one moves it on by one interval. Nothing else is counted
or swept. Source: ITU-T Recommendation I.371 (2004), annex A, virtual scheduling; B. Leach, "Rate Limiting, Cells, and
GCRA" (2015).

The numbers lie in a file that every worker maps, one double a key, each under its own byte-range lock, which the
system releases when its holder dies.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from dataclasses import dataclass
from pathlib import Path

from api.security.keys import MAX_KEYS
from lake.errors import StorageError

_CELL_BYTES = 8
DEVELOPMENT_SLOT = 0
# Requests of this many seconds may come at once.
BURST_S = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limiter says of one request.

    Args:
        allowed: Whether it may go on.
        retry_after_s: Seconds until one like it is let through; 0 when it is now.
    """

    allowed: bool
    retry_after_s: float = 0.0


_ALLOWED = Verdict(True)


def arrive(expected: float, at: float, interval: float) -> tuple[float, Verdict]:
    """One step of GCRA.

    Args:
        expected: Theoretical arrival time of the key's next request, seconds; 0 for a key that never asked.
        at: Moment of the request on the same clock.
        interval: Seconds between requests at the key's rate.

    Returns:
        The new theoretical arrival time, and the verdict.
    """
    tolerance = max(BURST_S, interval) - interval
    # No accepted request leaves more than this ahead of the clock: a larger lead is from before a reboot reset it.
    if expected < at or expected > at + tolerance + interval:
        expected = at
    wait = expected - tolerance - at
    if wait > 0:
        return expected, Verdict(False, wait)
    return expected + interval, _ALLOWED


class RateLimiter:
    """Limits shared by the worker processes of one machine.

    The clock is the system's monotonic one, which processes of a machine share.

    Args:
        path: File of the cells; made when absent.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._cells: memoryview[float] | None = None

    def open(self) -> memoryview[float]:
        """Map the file, unless it is.

        Raises:
            StorageError: It cannot be made or mapped.
        """
        if self._cells is None:
            size = (MAX_KEYS + 1) * _CELL_BYTES
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                if os.fstat(self._descriptor).st_size != size:
                    os.ftruncate(self._descriptor, size)
                self._cells = memoryview(mmap.mmap(self._descriptor, size)).cast("d")
            except OSError as error:
                raise StorageError(
                    f"cannot share rate limits: {error.strerror}",
                    where=str(self._path),
                    mend="mend the directory, or set api.keys_file to a file in another",
                ) from None
        return self._cells

    def ask(self, slot: int, requests_per_second: float) -> Verdict:
        """Whether one more request of the key in `slot` may go on, counting it when it may."""
        cells = self._cells if self._cells is not None else self.open()
        offset = slot * _CELL_BYTES
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, _CELL_BYTES, offset)
        try:
            expected, verdict = arrive(cells[slot], time.monotonic(), 1.0 / requests_per_second)
            if verdict.allowed:
                cells[slot] = expected
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, _CELL_BYTES, offset)
        return verdict

    def close(self) -> None:
        """Let the file go; a later request maps it again."""
        if self._cells is not None:
            self._cells.release()
            self._cells = None
            os.close(self._descriptor)
