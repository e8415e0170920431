"""The service under faults: its processes known by what they are, killed, and started again at the same address."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from api.writer.place import lock_path
from bench.faults.writing import children
from bench.measure import BenchError
from infra.ports import LOOPBACK, free_port
from lake.lake import Lake
from lake.settings import PROJECT_ROOT

_OK = 200
_START_S, _STOP_S, _POLL_S = 60.0, 60.0, 0.05
# How a worker process of uvicorn is started by the standard library.
_SPAWNED = b"spawn_main"


class Service:
    """`lakehouse serve --development` on the lake ``FOLDER/lake``.

    Args:
        folder: Directory for the lake and the service's output.
        settings: Variables of the environment, such as LAKEHOUSE_INGEST__COMPACT_FILES.
        workers: HTTP processes.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, workers: int = 2) -> None:
        self.folder, self.root, self.port = folder, folder / "lake", free_port()
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(PROJECT_ROOT),
            "LAKEHOUSE_LAKE__ROOT": str(self.root),
            "LAKEHOUSE_API__DEVELOPMENT": "true",
            "LAKEHOUSE_API__REQUESTS_PER_SECOND": "1000000",
            **(settings or {}),
        }
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What its processes have printed."""
        return (self.folder / "service.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            BenchError: It did not start.
        """
        arguments = ["serve", "--workers", str(self._workers), "--port", str(self.port)]
        with (self.folder / "service.log").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env=self._environment,
            )
        self.wait_until_ready()

    def wait_until_ready(self, seconds: float = _START_S) -> None:
        """Ask until it says that it is.

        Raises:
            BenchError: It does not.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.is_ready():
                return
            time.sleep(_POLL_S)
        raise BenchError(f"the service is not ready after {seconds:.0f} s:\n{self.log[-2000:]}")

    def is_ready(self) -> bool:
        """Whether a worker says so."""
        return self.get("/health/ready")[0] == _OK

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; status 0 when there is no answer."""
        status, _, body = self.ask("GET", path)
        return status, body

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by their names in lower case, and body; status 0 when there is no answer."""
        connection = HTTPConnection(LOOPBACK, self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except (OSError, HTTPException):
            return 0, {}, b""
        finally:
            connection.close()

    def ingest(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send one row."""
        return self.ask("POST", "/api/v1/ingest", body, {"Content-Type": "application/json"})

    @property
    def supervisor(self) -> int:
        assert self._process is not None, "it was started"
        return self._process.pid

    def workers(self) -> list[int]:
        """Its HTTP processes."""
        if self._workers == 1:
            return [self.supervisor]
        found = []
        for child in children(self.supervisor):
            with suppress(OSError):
                if _SPAWNED in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(child)
        return found

    def writer(self) -> int | None:
        """The process that holds the writer's lock; None while there is none."""
        return holder(lock_path(Lake(self.root)))

    def kill(self, process: int | None) -> None:
        """kill -9, if it lives."""
        if process is not None:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def kill_everything(self) -> None:
        """kill -9 for supervisor, workers and writer, at once."""
        assert self._process is not None
        for process in (self.supervisor, *self.workers(), self.writer()):
            self.kill(process)
        self._process.wait()

    def stop(self) -> None:
        """End it as an operator would.

        Raises:
            BenchError: Something of it was left after its time to drain.
        """
        if self._process is None:
            return
        workers, writer = self.workers(), self.writer()
        self._process.terminate()
        deadline = time.monotonic() + _STOP_S
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        if writer is not None:
            # It would wait a while for workers that come back.
            with suppress(ProcessLookupError):
                os.kill(writer, signal.SIGTERM)
        left = {process for process in (*workers, writer) if process is not None}
        while left and time.monotonic() < deadline:
            left = {process for process in left if Path(f"/proc/{process}").exists()}
            time.sleep(_POLL_S)
        still = self._process.poll() is None
        self.kill(self.supervisor)
        for process in left:
            self.kill(process)
        self._process.wait()
        self._process = None
        if left or still:
            raise BenchError(f"processes were left {_STOP_S:.0f} s after SIGTERM")


@contextmanager
def serving(folder: Path, settings: Mapping[str, str] | None = None, workers: int = 2) -> Iterator[Service]:
    """A service that runs inside the block."""
    folder.mkdir(parents=True, exist_ok=True)
    service = Service(folder, settings, workers)
    try:
        service.start()
        yield service
    except BaseException:
        with suppress(BenchError):
            service.stop()
        raise
    service.stop()


def holder(lock: Path) -> int | None:
    """The process that holds a lock file; None when nobody does. Source: proc_locks(5)."""
    try:
        inode = str(lock.stat().st_ino)
    except FileNotFoundError:
        return None
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if fields[1] != "->" and fields[5].rpartition(":")[2] == inode:
            return int(fields[4])
    return None
