"""A Spark standalone cluster on this machine, from the installed pyspark, to see a job run on one and survive a loss.

    python -m infra.spark.cluster start --workers 2 --directory data/cluster     prints spark://127.0.0.1:PORT
    python -m infra.spark.cluster add-worker --directory data/cluster
    python -m infra.spark.cluster stop --directory data/cluster

Master and workers listen on loopback only. `stop` ends what the directory's pid files name and nothing else.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from infra import processes
from infra.ports import LOOPBACK, free_port, is_listening, require_free
from lake.errors import BadInputError, LakehouseError, MissingToolError, StorageError
from spark.java import require_java
from spark.session import INSTALL_ENGINES

# Heap of a master or worker process itself, whose work is to watch executors.
DAEMON_MEMORY = "256m"
REGISTER_WAIT_S = 60.0
_POLL_S = 0.2
_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"
_MEMORY = re.compile(r"[1-9]\d*[mg]")
# A port that is taken must stop the start, not move the master to the next one.
_PROPERTIES = "spark.port.maxRetries 0\nspark.master.rest.enabled false\n"


@dataclass(frozen=True)
class WorkerSize:
    """What one worker offers to executors; `memory` as Spark writes it, 512m or 2g."""

    cores: int = 1
    memory: str = "1g"

    def __post_init__(self) -> None:
        if self.cores < 1:
            raise BadInputError(f"a worker needs a core, not {self.cores}", mend="--cores 1")
        if not _MEMORY.fullmatch(self.memory):
            raise BadInputError(f"not an amount of memory: {self.memory}", mend="--memory 512m, or --memory 2g")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A started cluster: its `spark://` address, and where its master answers about itself in JSON."""

    directory: Path
    address: str
    status_url: str

    def worker_ports(self) -> set[int]:
        """Ports of the registered workers that are alive; none while the master does not answer."""
        # A proxy set for the internet must not be asked about loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.status_url, timeout=5) as answer:
                status: dict[str, Any] = json.load(answer)
        except (OSError, ValueError):
            return set()
        return {worker["port"] for worker in status["workers"] if worker["state"] == "ALIVE"}


def start(directory: Path, workers: int = 2, size: WorkerSize | None = None, port: int | None = None) -> Cluster:
    """Start a master and workers, and wait until all are registered.

    Args:
        directory: For pid files, logs and the executors' work; one cluster a directory.
        workers: How many to start.
        size: Of each worker.
        port: Of the master; a free one when absent.

    Raises:
        BadInputError: A cluster runs there already, or the port is taken.
        MissingToolError: No Java, or pyspark is not installed.
        StorageError: The directory cannot be written.
        LakehouseError: A process ended at once, or did not register in time; what had started is ended.
    """
    home = _spark_home()
    if workers < 1:
        raise BadInputError(f"a cluster needs a worker, not {workers}", mend="--workers 1")
    if running := processes.running(directory):
        raise BadInputError(
            f"still running from an earlier start: {', '.join(sorted(running))}",
            where=str(directory), mend=_command("stop", directory),
        )  # fmt: skip
    master_port = free_port() if port is None else _checked_port(port)
    status_port = free_port()
    cluster = Cluster(
        directory.resolve(), f"spark://{LOOPBACK}:{master_port}", f"http://{LOOPBACK}:{status_port}/json/"
    )
    _prepare(cluster)
    try:
        ports = ["--port", str(master_port), "--webui-port", str(status_port)]
        master = _spawn(home, cluster, "master", _MASTER, ports)
        _wait("master", master, cluster, lambda: is_listening(master_port))
        _add_workers(home, cluster, workers, size or WorkerSize())
    except BaseException:
        processes.end(directory)
        raise
    return cluster


def add_worker(directory: Path, size: WorkerSize | None = None) -> Cluster:
    """Start one more worker and wait until it is registered.

    Raises:
        BadInputError: No cluster runs there.
        MissingToolError: No Java, or pyspark is not installed.
        LakehouseError: It ended at once, or did not register in time.
    """
    home = _spark_home()
    if "master" not in processes.running(directory):
        raise BadInputError("no cluster runs here", where=str(directory), mend=_command("start", directory))
    described = json.loads((directory / "cluster.json").read_text())
    cluster = Cluster(directory.resolve(), described["address"], described["status_url"])
    _add_workers(home, cluster, 1, size or WorkerSize())
    return cluster


def _spark_home() -> Path:
    require_java()
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise MissingToolError("pyspark is not installed", mend=INSTALL_ENGINES)
    return Path(found.origin).parent


def _prepare(cluster: Cluster) -> None:
    described = json.dumps({"address": cluster.address, "status_url": cluster.status_url})
    try:
        cluster.directory.mkdir(parents=True, exist_ok=True)
        processes.forget(cluster.directory)
        for name, text in (("cluster.json", described), ("spark.properties", _PROPERTIES)):
            (cluster.directory / name).write_text(text)
    except OSError as error:
        raise StorageError(
            f"cannot write the cluster's files: {error.strerror}", where=str(cluster.directory), mend="--directory DIR"
        ) from None


def _add_workers(home: Path, cluster: Cluster, number: int, size: WorkerSize) -> None:
    # A lost worker keeps its pid file, so that no name is given twice.
    taken = [int(file.stem.partition("-")[2]) for file in cluster.directory.glob("worker-*.pid")]
    first = max(taken, default=0) + 1
    offered = ["--cores", str(size.cores), "--memory", size.memory, "--work-dir", str(cluster.directory / "work")]
    started = []
    for name in (f"worker-{first + added}" for added in range(number)):
        port = free_port()
        places = ["--port", str(port), "--webui-port", "0", cluster.address]
        started.append((name, port, _spawn(home, cluster, name, _WORKER, [*offered, *places])))
    for name, port, process in started:
        _wait(name, process, cluster, partial(_is_registered, cluster, port))


def _spawn(home: Path, cluster: Cluster, name: str, program: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    properties = ["--properties-file", str(cluster.directory / "spark.properties")]
    command = [str(home / "bin" / "spark-class"), program, "--host", LOOPBACK, *properties]
    places = {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": LOOPBACK, "SPARK_DAEMON_MEMORY": DAEMON_MEMORY}
    return processes.spawn(cluster.directory, name, [*command, *arguments], {**os.environ, **places})


def _wait(name: str, process: subprocess.Popen[bytes], cluster: Cluster, is_ready: Callable[[], bool]) -> None:
    log = cluster.directory / f"{name}.log"
    until = time.monotonic() + REGISTER_WAIT_S
    while not is_ready():
        if process.poll() is not None:
            raise LakehouseError(f"{name} ended at once: {processes.last_line(log)}", where=str(log))
        if time.monotonic() > until:
            what = f"{name} did not register within {REGISTER_WAIT_S:.0f} s"
            raise LakehouseError(f"{what}: {processes.last_line(log)}", where=str(log))
        time.sleep(_POLL_S)


def _is_registered(cluster: Cluster, port: int) -> bool:
    return port in cluster.worker_ports()


def _checked_port(port: int) -> int:
    require_free(LOOPBACK, port, mend="another --port, or none at all")
    return port


def _command(name: str, directory: Path) -> str:
    return f"python -m infra.spark.cluster {name} --directory {directory}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.spark.cluster", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("start", "add-worker", "stop"):
        command = commands.add_parser(name)
        command.add_argument("--directory", type=Path, required=True, help="pid files, logs and work of the cluster")
        if name != "stop":
            command.add_argument("--cores", type=int, default=WorkerSize.cores, help="of each worker")
            command.add_argument("--memory", default=WorkerSize.memory, help="of each worker, as 512m or 2g")
        if name == "start":
            command.add_argument("--workers", type=int, default=2)
            command.add_argument("--port", type=int, help="of the master; a free one when absent")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error for people goes to stderr in one line. Returns the exit code (docs/errors.md)."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "stop":
            ended = processes.end(given.directory)
            sys.stdout.write(f"stopped {', '.join(ended) or 'nothing: no cluster ran here'}\n")
            return 0
        size = WorkerSize(given.cores, given.memory)
        if given.command == "start":
            cluster = start(given.directory, given.workers, size, given.port)
        else:
            cluster = add_worker(given.directory, size)
    except LakehouseError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    workers = len(cluster.worker_ports())
    sys.stderr.write(f"{workers} workers registered; status {cluster.status_url}, logs {cluster.directory}\n")
    sys.stdout.write(f"{cluster.address}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
