"""Every figure the service counts, whichever of its processes counts it.

The processes of one service share a directory of counters (prometheus-client's multi-process mode), so that any worker
answers for all. The directory must be named before prometheus_client is first imported, which is why this module is the
only one that imports it; a process that the service starts inherits the name.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from contextlib import suppress
from pathlib import Path

from api.private_directory import private_directory

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_STAT_FIELDS_BEFORE_START = 19  # Source: proc_pid_stat(5): starttime is field 22, the third after the name is field 3


def service_directory() -> Path:
    """The directory of this service's counters: one per supervisor, told apart from its predecessors by start time."""
    supervisor = multiprocessing.parent_process()
    pid = os.getpid() if supervisor is None or supervisor.pid is None else supervisor.pid
    return private_directory("lakehouse-metrics") / f"{pid}-{_started(pid)}"


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty when it is gone or the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[_STAT_FIELDS_BEFORE_START]


def _join_service() -> None:
    if os.environ.get(_VARIABLE):
        Path(os.environ[_VARIABLE]).mkdir(parents=True, exist_ok=True)
        return
    directory = service_directory()
    directory.mkdir(exist_ok=True)
    os.environ[_VARIABLE] = str(directory)
    _sweep(directory)


def _sweep(own: Path) -> None:
    """Delete what services that ended left."""
    for other in own.parent.iterdir():
        pid, _, started = other.name.partition("-")
        if other != own and pid.isdigit() and _started(int(pid)) != started:
            with suppress(OSError):
                shutil.rmtree(other)


_join_service()

from prometheus_client import (  # noqa: E402
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead  # noqa: E402

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000)

REQUESTS = Counter("lakehouse_requests", "Requests answered.", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "lakehouse_request_seconds", "From a request's head to its answer's end.", ["route"], buckets=_SECONDS
)
REFUSED = Counter("lakehouse_refused_requests", "Requests refused, by kind of problem.", ["problem"])

# The writer's.
INGEST_QUEUE_ROWS = Gauge(
    "lakehouse_ingest_queue_rows", "Rows accepted and not committed.", multiprocess_mode="livesum"
)
INGEST_QUEUE_BYTES = Gauge(
    "lakehouse_ingest_queue_bytes", "Bytes accepted and not committed.", multiprocess_mode="livesum"
)
LEDGER_IDS = Gauge("lakehouse_ledger_ids", "Transaction ids the writer remembers.", multiprocess_mode="livesum")
COMMIT_SECONDS = Histogram(
    "lakehouse_commit_seconds", "From a group's first row taken to its commit synced.", buckets=_SECONDS
)
COMMIT_ROWS = Histogram("lakehouse_commit_rows", "Rows of one commit.", buckets=_ROWS)
COMMIT_CONFLICTS = Counter("lakehouse_commit_conflicts", "Commits tried again because another writer came first.")
ROWS_COMMITTED = Counter("lakehouse_rows_committed", "Rows committed to bronze.transactions.")
ROWS_DUPLICATE = Counter("lakehouse_rows_duplicate", "Rows sent again, which added nothing.")
ROWS_QUARANTINED = Counter("lakehouse_rows_quarantined", "Rows kept in quarantine.")
WRITER_RESTARTS = Counter("lakehouse_writer_restarts", "Times the writer process was started again.")

MEDIA_TYPE = CONTENT_TYPE_LATEST


def exposition() -> bytes:
    """The figures of every process of the service, in Prometheus' text format."""
    _forget_ended_processes()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus-client gives it no types
    return bytes(generate_latest(registry))


def _forget_ended_processes() -> None:
    """Drop the gauges of processes that were killed: what they queued is queued no more. Counters stay counted."""
    for file in Path(os.environ[_VARIABLE]).glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not _started(int(pid)):
            mark_process_dead(int(pid))  # type: ignore[no-untyped-call]  # nor this
