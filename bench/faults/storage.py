"""Storage that is slow, fails or answers late: strace makes system calls of the real writer fail or wait.

From outside, so the writer that is tested is the writer that runs. Errors hit every call of a kind in turn, whatever it
is for: data file, directory, log entry, log directory, what lies between.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.faults.books import Books, close_books, told
from bench.faults.callers import Callers
from bench.faults.failing_calls import FailingCalls
from bench.faults.service import Service, serving
from bench.faults.strace import find_strace
from bench.ingest.bodies import Form, make_bodies


@dataclass(frozen=True, slots=True)
class Fault:
    """Which calls fail or are late: the `first`-th of a process and each `every`-th after it.

    Args:
        calls: Names in `os`.
        error: Name of the error; empty for calls that are late.
        first: From 1.
        every: Not 0.
        delay_s: How late.
        while_starting: Whether a writer meets it from its start on, or once the service is ready.
    """

    calls: tuple[str, ...]
    error: str
    first: int
    every: int
    delay_s: float = 0.0
    while_starting: bool = True

    @property
    def as_strace_says(self) -> str:
        """The value of strace's option ``inject``; a call's name on one architecture may be unknown on another."""
        names = ",".join(f"?{name},?{name}at" if name in _WITH_AT else name for name in self.calls)
        what = f"error={self.error}" if self.error else f"delay_enter={round(self.delay_s * 1e6)}"
        return f"{names}:{what}:when={self.first}+{self.every}"


FAULTS = {
    "sync takes 50 ms": Fault(("fsync",), "", 1, 1, 0.05),
    "sync fails": Fault(("fsync",), "EIO", 5, 7),
    # That of the log's directory, after the version was made.
    "sync fails, 4th of 4": Fault(("fsync",), "EIO", 4, 16),
    # Libraries that read the table at a start wake their threads by writing to a descriptor that no disk makes fail.
    "write fails, disk full": Fault(("write",), "ENOSPC", 6, 11, while_starting=False),
    "link fails": Fault(("link",), "EIO", 2, 3),
    "unlink fails": Fault(("unlink",), "EIO", 2, 3),
    # The temporary name, after the version was made: the outcome is not what the error says.
    "unlink fails, 3rd of 3": Fault(("unlink",), "EIO", 3, 3),
    "open fails, too many files": Fault(("open",), "EMFILE", 3, 7),
}
# Calls that libraries make in either of two forms.
_WITH_AT = ("open", "link", "unlink")
_CONNECTIONS, _ANSWERS = 8, 20
# Requests of one fault; the next one's numbers begin after them.
_MOST_REQUESTS = 1_000_000
_ATTACH_S, _POLL_S = 5.0, 0.02


@dataclass(frozen=True, slots=True)
class Faulty:
    """What one fault came to.

    Args:
        fault: Its name.
        seconds: How long it lasted.
        struck: Writer processes it was put into from outside, or calls it met from inside.
        statuses: Answers that the load got, by status.
        books: Closed after it; its own rows alone are counted as acknowledged.
        longest_answer_s: Longest time from sending a request first to success, s.
    """

    fault: str
    seconds: float
    struck: int
    statuses: dict[str, int]
    books: Books
    longest_answer_s: float


def inject_faults(
    folder: Path, *, seconds: float, faults: Iterable[str] = FAULTS, from_outside: bool = True
) -> Iterator[Faulty]:
    """Each fault in turn, on one service under load; after each, rows are acknowledged again before the books close.

    Args:
        folder: Empty directory.
        seconds: How long each lasts.
        faults: Their names.
        from_outside: With strace; else see failing_calls.

    Raises:
        MissingToolError: No strace.
        BenchError: The service did not recover.
    """
    if from_outside:
        find_strace()
    inside = FailingCalls(folder / "faults")
    with serving(folder / "service", None if from_outside else inside.settings()) as service:
        for number, name in enumerate(faults):
            bodies = make_bodies(Form.ROW)
            fault = FAULTS[name]
            with Callers(service, bodies, _CONNECTIONS, first=number * _MOST_REQUESTS) as callers:
                callers.wait_for(_ANSWERS)
                if from_outside:
                    with _injected(service, fault) as writers:
                        time.sleep(seconds)
                    struck = len(writers)
                else:
                    inside.begin(fault.calls, fault.error, fault.delay_s, fault.first, fault.every)
                    time.sleep(seconds)
                    struck = inside.end()
                callers.wait_for(callers.acknowledged() + _ANSWERS)
            figures = callers.figures
            books = close_books(service.root, told(bodies, callers.load.acknowledged))
            yield Faulty(name, seconds, struck, figures.statuses, books, figures.latency.max_ms / 1000)


@contextmanager
def _injected(service: Service, fault: Fault) -> Iterator[set[int]]:
    """Put a fault into the writer, and into each that follows it, while the block runs; yields their process ids."""
    struck: set[int] = set()
    ended = threading.Event()

    def strike() -> None:
        while not ended.is_set():
            writer = service.writer()
            if writer is None or writer in struck or not (fault.while_starting or service.is_ready()):
                ended.wait(_POLL_S)
                continue
            struck.add(writer)
            _attach(writer, fault.as_strace_says, ended)

    thread = threading.Thread(target=strike, name="faults")
    thread.start()
    try:
        yield struck
    finally:
        ended.set()
        thread.join()


def _attach(writer: int, injection: str, ended: threading.Event) -> None:
    names = injection.partition(":")[0]
    command = [find_strace(), "-f", "-qq", "-p", str(writer), "-e", f"trace={names}", "-e", f"inject={injection}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as strace:
        while not ended.wait(_POLL_S) and strace.poll() is None:
            continue
        strace.send_signal(signal.SIGINT)
        strace.wait(_ATTACH_S)
