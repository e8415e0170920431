"""The platform on one machine: Prefect's server, a worker and the HTTP service, all on loopback.

./lakehouse up        starts what does not run yet, and deploys the flows
./lakehouse down      ends what `up` started, and nothing else
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from infra import processes
from infra.ports import LOOPBACK, require_free
from infra.prefect.names import HEARTBEAT_S, POOL
from lake.configuration import CONFIG_VARIABLE, ENV_PREFIX
from lake.errors import LakehouseError, StorageError
from lake.settings import PROJECT_ROOT, Settings
from tasks import prefect_database
from tasks.prefect_server import ADDRESS_NAME, HOME, require_server, standing_server

DIRECTORY = Path("data/platform")
# A new database that nobody has migrated yet takes 5 s on two quiet cores.
START_WAIT_S = 120.0
# Runs at a time; those that write wait for each other, exports go beside them.
WORKER_RUNS = 4
WORKER_POLL_S = 2
DATABASE_WAIT_S = 60
_POLL_S = 0.2
_ANSWER_S = 2.0
# On loopback; reading certificates anew for every question takes more of a core than all else that waiting does.
_NO_TLS = False
_SERVER, _API, _WORKER = "server", "api", "worker"


@dataclass(frozen=True, slots=True)
class Part:
    """One process: what it is, where it answers, its id and its log, and whether this call started it."""

    name: str
    address: str
    pid: int
    log: Path
    started: bool


@dataclass(frozen=True, slots=True)
class Platform:
    """What runs, and what Prefect's server knows."""

    parts: tuple[Part, ...]
    deployments: tuple[str, ...]


def up(settings: Settings, config: Path | None = None, prefect_port: int = 4200) -> Platform:
    """Start the parts that do not run yet, wait until all answer, and deploy.

    Relative places of the settings are taken from the working directory, wherever the flows will run.

    Args:
        settings: Section `api` says where the HTTP service listens.
        config: File that `settings` came from.
        prefect_port: Of Prefect's server and its pages.

    Raises:
        BadInputError: A port is in use.
        StorageError: A directory cannot be written.
        LakehouseError: A part ended at once or does not answer; what this call had started is ended.
    """
    directory, home = DIRECTORY.resolve(), HOME.resolve()
    _prepare(directory, home)
    before = processes.running(directory)
    server, api = f"http://{LOOPBACK}:{prefect_port}/api", f"http://{settings.api.host}:{settings.api.port}"
    environment = _environment(settings, config, home, server)
    commands = {
        _SERVER: [sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(prefect_port)],
        _API: [sys.executable, "-m", "cli", "serve", "--port", str(settings.api.port)],
        _WORKER: [
            sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--name", f"{socket.gethostname()}",
            "--limit", str(WORKER_RUNS),
        ],
    }  # fmt: skip
    if _SERVER not in before:
        require_free(LOOPBACK, prefect_port, where="--prefect-port", mend=_mend("--prefect-port"))
    if _API not in before:
        require_free(settings.api.host, settings.api.port, where="--api-port", mend=_mend("--api-port"))
    try:
        for name in (_SERVER, _API):
            if name not in before:
                processes.spawn(directory, name, commands[name], environment)
        os.environ.update({"PREFECT_API_URL": server, "PREFECT_HOME": str(home)})
        # Prefect reads its settings when it is imported, which takes seconds: the server needs more to begin.
        from infra.prefect.deploy import deploy_flows, prepare

        _wait(directory, _SERVER, lambda: _answers(f"{server}/health"))
        (home / ADDRESS_NAME).write_text(server, encoding="utf-8")
        require_server()
        prepare(settings)
        if _WORKER not in before:
            processes.spawn(directory, _WORKER, commands[_WORKER], environment, cwd=PROJECT_ROOT)
        deployments = deploy_flows()
        _wait(directory, _WORKER, lambda: _has_worker(server))
        _wait(directory, _API, lambda: _answers(f"{api}/health/ready"))
    except BaseException:
        processes.end(directory, {_SERVER, _API, _WORKER} - before.keys())
        raise
    addresses = {_SERVER: server.removesuffix("/api"), _API: api, _WORKER: f"work pool {POOL}"}
    now = processes.running(directory)
    parts = (Part(n, addresses[n], now[n], directory / f"{n}.log", n not in before) for n in commands)
    return Platform(tuple(parts), deployments)


def down() -> tuple[str, ...]:
    """End what `up` started: the worker and the HTTP service, which drains, then the server.

    Returns:
        Names of the parts that were running.
    """
    directory = DIRECTORY.resolve()
    ended = processes.end(directory, {_WORKER, _API}, wait_s=60.0)
    if _WORKER in ended and (address := standing_server(HOME.resolve())) is not None:
        os.environ["PREFECT_API_URL"] = address
        from infra.prefect.deploy import crash_runs

        crash_runs("./lakehouse down ended the worker; what was published stays, the next run does the rest")
    ended += processes.end(directory, {_SERVER})
    (HOME.resolve() / ADDRESS_NAME).unlink(missing_ok=True)
    return ended


def _prepare(directory: Path, home: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        prefect_database.begin(home)
    except OSError as error:
        where = str(error.filename or directory)
        raise StorageError(f"cannot write it: {error.strerror}", where=where, mend="mend it, or go elsewhere") from None


def _environment(settings: Settings, config: Path | None, home: Path, server: str) -> dict[str, str]:
    places = {
        f"{ENV_PREFIX}{section}__{key}".upper(): str(value.resolve())
        for section, values in settings
        for key, value in values
        if isinstance(value, Path)
    }
    chosen = {CONFIG_VARIABLE: str(config.resolve())} if config else {}
    return {
        **os.environ, **places, **chosen,
        "PYTHONPATH": str(PROJECT_ROOT),
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": server,
        "PREFECT_UI_API_URL": server,
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs,orphans",
        # SQLite lets one write at a time; on a busy machine a turn takes longer than the 10 s by default.
        "PREFECT_SERVER_DATABASE_TIMEOUT": str(DATABASE_WAIT_S),
        # In memory, as by default, leases of slots are lost with the server, and their slots are never free again.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
        "PREFECT_WORKER_QUERY_SECONDS": str(WORKER_POLL_S),
        # The command line keeps Prefect quiet on the terminal; these write to files and to the pages of a run.
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    }  # fmt: skip


def _mend(option: str) -> str:
    return f"end what listens there, or choose {option} PORT"


def _wait(directory: Path, name: str, is_ready: Callable[[], bool]) -> None:
    log = directory / f"{name}.log"
    until = time.monotonic() + START_WAIT_S
    while not is_ready():
        ended = name not in processes.running(directory)
        if ended or time.monotonic() > until:
            what = "ended at once" if ended else f"did not answer within {START_WAIT_S:.0f} s"
            raise LakehouseError(f"{name} {what}: {processes.last_line(log)}", where=str(log), mend="read that log")
        time.sleep(_POLL_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=_ANSWER_S, verify=_NO_TLS).is_success
    except httpx.HTTPError:
        return False


def _has_worker(server: str) -> bool:
    try:
        address = f"{server}/work_pools/{POOL}/workers/filter"
        answer = httpx.post(address, json={}, timeout=_ANSWER_S, verify=_NO_TLS)
        return answer.is_success and any(worker["status"] == "ONLINE" for worker in answer.json())
    except httpx.HTTPError:
        return False
