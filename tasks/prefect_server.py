"""The Prefect API a run talks to: the user's, that of `lakehouse up`, or a server of its own that lives as long as it.

Prefect would start one by itself, but only after loading the whole server into this process too; started first, it
comes up while this process is still loading what the flow needs.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import MutableMapping
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from lake.errors import LakehouseError, StorageError
from lake.settings import PROJECT_ROOT
from tasks import prefect_database

# With one of these the user has chosen where Prefect keeps its runs.
CHOSEN_BY_USER = ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_HOME")
HOME = Path("data/prefect")
LOG_NAME = "server.log"
# Where `lakehouse up` leaves the address of the server that uses this home: two would lock each other's database.
ADDRESS_NAME = "server.url"
# A new database that nobody has migrated yet takes 5 s on two quiet cores.
STARTUP_S = 120
# How long a server that is said to run may take.
ANSWER_S = 10
SHUTDOWN_S = 10
_BACKLOG = 128
_RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")


class PrefectServer:
    """A Prefect server on a free loopback port for as long as the block lasts; a context manager.

    Does nothing where the environment names a server, profile or home of the user's.

    Args:
        environment: Where ``PREFECT_HOME`` and ``PREFECT_API_URL`` are set, before Prefect is first imported.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._home = HOME.resolve()

    def __enter__(self) -> Self:
        """Start the server without waiting for it.

        Raises:
            StorageError: Its directory cannot be written.
        """
        if any(self._environment.get(name) for name in CHOSEN_BY_USER):
            return self
        self._environment["PREFECT_HOME"] = str(self._home)
        if (address := standing_server(self._home)) is not None:
            self._environment["PREFECT_API_URL"] = address
            return self
        try:
            prefect_database.begin(self._home)
            log = (self._home / LOG_NAME).open("wb")
        except OSError as error:
            raise StorageError(
                f"cannot write Prefect's directory: {error.strerror}",
                where=str(self._home),
                mend="mend the directory, or set PREFECT_HOME to another",
            ) from None
        # Whoever connects before the server answers waits in this socket's queue, and no other process can take it.
        with log, socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listening:
            self._environment["PREFECT_API_URL"] = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tasks.prefect_server", str(listening.fileno())],
                env={**self._environment, "PYTHONPATH": str(PROJECT_ROOT), "PREFECT_UI_ENABLED": "false"},
                pass_fds=(listening.fileno(),),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        return self

    def wait_until_healthy(self) -> None:
        """Wait until the server answers, started here or named by PREFECT_API_URL.

        Raises:
            LakehouseError: It ended, or did not answer in time.
        """
        address = self._environment.get("PREFECT_API_URL")
        if not address:
            return
        if self._process is None:
            require_server(self._environment)
            return
        try:
            httpx.get(f"{address}/health", timeout=STARTUP_S)
        except httpx.TransportError as error:
            raise LakehouseError(
                f"Prefect's temporary server did not start ({error})",
                where=str(self._home / LOG_NAME),
                mend="read that log; a damaged database is mended by deleting the directory it lies in",
            ) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        # What the run logged is on its way to the server.
        for name in _RUN_LOGGERS:
            for handler in logging.getLogger(name).handlers:
                handler.flush()
        self._environment.pop("PREFECT_API_URL", None)
        self._process.terminate()
        try:
            self._process.wait(SHUTDOWN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


def standing_server(home: Path) -> str | None:
    """Address of the server that `lakehouse up` started on this home, when it answers."""
    try:
        address = (home / ADDRESS_NAME).read_text(encoding="utf-8").strip()
        return address if httpx.get(f"{address}/health", timeout=ANSWER_S).is_success else None
    except (OSError, httpx.HTTPError, httpx.InvalidURL):
        return None


def require_server(environment: MutableMapping[str, str] = os.environ) -> str:
    """Address of the user's Prefect server, or of the one that `lakehouse up` started.

    Args:
        environment: Its ``PREFECT_API_URL`` comes first; set to the address found.

    Raises:
        LakehouseError: None answers, or it is of another version than the installed Prefect.
    """
    address = environment.get("PREFECT_API_URL") or standing_server(HOME.resolve())
    if address is None:
        raise LakehouseError("no Prefect server runs here", where=str(HOME), mend="./lakehouse up")
    try:
        # The server wants it as user:password, where it wants any.
        user, _, password = environment.get("PREFECT_API_AUTH_STRING", "").partition(":")
        answer = httpx.get(f"{address}/admin/version", timeout=ANSWER_S, auth=(user, password) if user else None)
        version = str(answer.json()) if answer.is_success else f"unknown (HTTP {answer.status_code})"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise LakehouseError(
            f"no Prefect server answers there ({error})",
            where=f"PREFECT_API_URL={address}",
            mend="start one with: ./lakehouse up   (or unset PREFECT_API_URL to run without)",
        ) from None
    # Prefect's API changes between minor versions, not within one.
    installed = metadata.version("prefect")
    if version.split(".")[:2] != installed.split(".")[:2]:
        raise LakehouseError(
            f"the Prefect server is of version {version}, installed here is {installed}",
            where=f"PREFECT_API_URL={address}",
            mend=f"run a server of version {installed}, or unset PREFECT_API_URL to run without",
        )
    environment["PREFECT_API_URL"] = address
    return address


def _serve(listening: int) -> None:
    """Run the server on an open socket until it is terminated or its parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import uvicorn
    from prefect.server.api.server import create_app

    uvicorn.run(create_app(ephemeral=True, final=True), fd=listening, log_level="error")


def _end_with_parent() -> None:
    # A killed parent cannot say so, but the kernel closes its end of the pipe.
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
