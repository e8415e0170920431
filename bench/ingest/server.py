"""A server under measurement: started, waited for, watched, ended by its process id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.measure import BenchError
from infra.ports import LOOPBACK, free_port
from lake.settings import PROJECT_ROOT

_START_S, _STOP_S = 60.0, 60.0
_POLL_S, _SAMPLE_S = 0.05, 0.1
_READY = 200
# Every process of a server inherits it, those included that are nobody's child any more.
_MARK = "BENCH_SERVER"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat after the command's name in parentheses: proc(5).
# User and system time, its own and that of children that ended.
_TICKS = slice(11, 15)


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a server at a moment.

    Args:
        pid: Its id.
        command: How it was called.
        resident_bytes: Memory it holds; pages shared with others count in each.
        cpu_s: Processor time it took so far, and its children that ended.
    """

    pid: int
    command: str
    resident_bytes: int
    cpu_s: float


class Server:
    """A running server.

    Args:
        process: What was started.
        port: Where it listens.
        mark: Value of the variable that its processes share.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, mark: str) -> None:
        self.port = port
        self._process = process
        self._mark = f"{_MARK}={mark}".encode()

    def processes(self) -> list[Process]:
        """All of its processes, by process id."""
        return [found for pid in self._pids() if (found := _process(pid)) is not None]

    def cpu_s(self) -> float:
        return sum(process.cpu_s for process in self.processes())

    def wait_until_ready(self, path: str) -> None:
        """Ask until the answer is 200.

        Raises:
            TimeoutError: It never was.
        """
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                connection = HTTPConnection(LOOPBACK, self.port, timeout=5)
                connection.request("GET", path)
                if connection.getresponse().status == _READY:
                    return
            except (OSError, HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(_POLL_S)
        raise TimeoutError

    def stop(self) -> None:
        """End it as an operator would, and whatever it left behind after its time to drain.

        Raises:
            BenchError: Some of its processes had to be killed.
        """
        self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None and not self._pids():
                return
            time.sleep(_POLL_S)
        left = self.processes()
        for process in left:
            os.kill(process.pid, signal.SIGKILL)
        self._process.wait()
        raise BenchError(f"still running {_STOP_S:.0f} s after SIGTERM: {', '.join(p.command for p in left)}")

    def _pids(self) -> list[int]:
        numbers = sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [pid for pid in numbers if self._mark in _environment(pid)]


@contextmanager
def running(arguments: Sequence[str], environment: Mapping[str, str], log: Path, ready: str) -> Iterator[Server]:
    """Start ``python -m ARGUMENTS --port PORT`` and stop it afterwards.

    Args:
        arguments: Module and its arguments.
        environment: What it gets beside this process's own variables.
        log: File for its output.
        ready: Path that answers 200 when it is ready.

    Raises:
        BenchError: It did not start, or did not stop.
    """
    port, mark = free_port(), uuid.uuid4().hex
    command = [sys.executable, "-m", *arguments, "--port", str(port)]
    variables = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), **environment, _MARK: mark}
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent, env=variables)
    server = Server(process, port, mark)
    try:
        server.wait_until_ready(ready)
    except TimeoutError:
        process.terminate()
        process.wait()
        raise BenchError(f"{' '.join(arguments)} did not start:\n{log.read_text()[-2000:]}") from None
    try:
        yield server
    finally:
        server.stop()


class Watch:
    """What a server took while the block ran: `peak_bytes`, the most memory all of its processes held together;
    `peaks`, the most that any one process of a command held; `cpu_s`, processor time; `machine_cpu_s`, what every
    process of the machine took, these included; `seconds`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.peak_bytes = 0
        self.peaks: dict[str, int] = {}
        self.cpu_s = 0.0
        self.machine_cpu_s = 0.0
        self.seconds = 0.0

    def other_cores(self, generator_cpu_s: float) -> float:
        """Processors that were busy with neither the server nor the load generator, on average."""
        others = self.machine_cpu_s - self.cpu_s - generator_cpu_s
        return round(max(others, 0.0) / self.seconds, 2)

    def __enter__(self) -> Watch:
        self.cpu_s, self.machine_cpu_s = -self._server.cpu_s(), -_machine_cpu_s()
        self.seconds = -time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.cpu_s += self._server.cpu_s()
        self.machine_cpu_s += _machine_cpu_s()
        self.seconds += time.monotonic()

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            processes = self._server.processes()
            self.peak_bytes = max(self.peak_bytes, sum(process.resident_bytes for process in processes))
            for process in processes:
                self.peaks[process.command] = max(self.peaks.get(process.command, 0), process.resident_bytes)


def _machine_cpu_s() -> float:
    """Time all processors together were busy since the start of the machine: proc(5), /proc/stat."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(ticks[:3]) + sum(ticks[5:7])) / _TICKS_PER_S


def _process(pid: int) -> Process | None:
    place = Path(f"/proc/{pid}")
    try:
        fields = (place / "stat").read_text().rpartition(")")[2].split()
        pages = int((place / "statm").read_text().split()[1])
        command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    return Process(pid, command, pages * _PAGE_BYTES, sum(map(int, fields[_TICKS])) / _TICKS_PER_S)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
