"""A cluster on this machine finds what one process finds, also when a worker is lost in the middle of the job."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from infra import processes
from lake.settings import PROJECT_ROOT
from tests.spark.worlds import as_table, drawn, packed, worlds
from tests.standing import until

# A master, two workers and executors of their own, beside whatever other files are tested at the time.
pytestmark = pytest.mark.timeout(600)
JOB_S = 250
Result = subprocess.CompletedProcess[str]


def cluster(*arguments: str) -> Result:
    return subprocess.run(
        [sys.executable, "-m", "infra.spark.cluster", *arguments],
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=False, timeout=JOB_S,
    )  # fmt: skip


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a cluster of two workers runs."""
    place = tmp_path_factory.mktemp("cluster")
    started = cluster("start", "--workers", "2", "--directory", str(place))
    assert started.returncode == 0, started.stderr
    (place / "address").write_text(started.stdout.strip())
    try:
        yield place
    finally:
        cluster("stop", "--directory", str(place))


@pytest.fixture(scope="module")
def transactions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Delta table of some 100,000 transactions, many of them anomalous."""
    place = tmp_path_factory.mktemp("input") / "transactions"
    rows = as_table(packed(drawn(worlds(), 500) * 8))
    assert rows.num_rows > 90_000
    write_deltalake(place, rows)
    return place


@pytest.fixture(scope="module")
def on_one_machine(transactions: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    place = tmp_path_factory.mktemp("local")
    finish(job("local[2]", transactions, place), place)
    found = anomalies(place)
    assert found.num_rows > 10_000
    return found


@pytest.mark.spark
def test_a_cluster_finds_what_one_machine_finds(
    directory: Path, transactions: Path, on_one_machine: pa.Table, tmp_path: Path
) -> None:
    finish(job((directory / "address").read_text(), transactions, tmp_path), tmp_path)
    assert anomalies(tmp_path).equals(on_one_machine)
    for worker in ("worker-1", "worker-2"):
        assert tasks_of(directory, worker) > 0, worker


@pytest.mark.spark
def test_a_worker_lost_and_another_added_in_the_middle_change_no_row(
    directory: Path, transactions: Path, on_one_machine: pa.Table, tmp_path: Path
) -> None:
    before = tasks_of(directory, "worker-1")
    running = job((directory / "address").read_text(), transactions, tmp_path)
    until(lambda: tasks_of(directory, "worker-1") >= before + 3 or running.poll() is not None, JOB_S)
    # A machine that is lost takes its executors with it.
    os.killpg(processes.running(directory)["worker-1"], signal.SIGKILL)
    assert running.poll() is None, "the job had ended before the worker was lost"
    added = cluster("add-worker", "--directory", str(directory))
    assert added.stderr.startswith("2 workers registered"), added.stderr
    finish(running, tmp_path)
    assert "Lost executor" in (tmp_path / "scratch" / "spark.log").read_text()
    assert tasks_of(directory, "worker-3") > 0
    assert anomalies(tmp_path).equals(on_one_machine)


@pytest.mark.spark
def test_a_second_cluster_in_the_same_place_is_refused(directory: Path) -> None:
    refused = cluster("start", "--directory", str(directory))
    assert refused.returncode == 4
    assert f"stop --directory {directory}" in refused.stderr


@pytest.mark.spark
def test_stopping_ends_every_process_of_the_cluster_and_frees_the_place(tmp_path: Path) -> None:
    assert cluster("start", "--workers", "1", "--directory", str(tmp_path)).returncode == 0
    ids = processes.running(tmp_path)
    assert sorted(ids) == ["master", "worker-1"]
    assert cluster("stop", "--directory", str(tmp_path)).stdout == "stopped master, worker-1\n"
    assert list(tmp_path.glob("*.pid")) == []
    for name, pid in ids.items():
        (tmp_path / f"{name}.pid").write_text(str(pid))
    assert processes.running(tmp_path) == {}


@pytest.mark.spark
def test_a_worker_that_cannot_start_is_named_with_its_log_and_the_rest_is_ended(tmp_path: Path) -> None:
    # More memory than a worker's command line can mean: the process ends at once.
    refused = cluster("start", "--workers", "1", "--memory", "99999999999g", "--directory", str(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"{tmp_path / 'worker-1.log'}: worker-1 ended at once")
    assert processes.running(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["start", "--workers", "0"], "--workers 1"),
        (["start", "--cores", "0"], "--cores 1"),
        (["start", "--memory", "1gb"], "--memory 512m"),
        (["start", "--port", "70000"], "another --port"),
        (["add-worker"], "no cluster runs here"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_that_says_what_to_type(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    refused = cluster(*arguments, "--directory", str(tmp_path))
    assert refused.returncode == 4
    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = cluster("start", "--port", port, "--directory", str(tmp_path))
    assert refused.returncode == 4
    assert f"port {port} cannot be used" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_java_the_way_to_install_it_is_told(tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "infra.spark.cluster", "start", "--directory", str(tmp_path)],
        cwd=PROJECT_ROOT, env={**os.environ, "JAVA_HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 8
    assert "none was found" in refused.stderr


def test_a_process_that_got_a_dead_workers_id_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (tmp_path / "worker-1.pid").write_text(f"{stranger.pid}\n")
        (tmp_path / "worker-2.pid").write_text("not a number\n")
        assert cluster("stop", "--directory", str(tmp_path)).stdout == "stopped nothing: no cluster ran here\n"
        assert stranger.poll() is None
        stranger.communicate(b"\n")
    assert stranger.returncode == 0
    assert list(tmp_path.glob("*.pid")) == []


def job(master: str, transactions: Path, place: Path) -> subprocess.Popen[bytes]:
    arguments = [master, str(transactions), str(place / "anomalies"), str(place / "scratch")]
    with (place / "job.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.spark.detect_on", *arguments], cwd=PROJECT_ROOT, stdout=log, stderr=log
        )


def finish(running: subprocess.Popen[bytes], place: Path) -> None:
    try:
        ended = running.wait(JOB_S)
    finally:
        running.kill()
    assert ended == 0, (place / "job.log").read_text()[-3000:]


def anomalies(place: Path) -> pa.Table:
    return pq.read_table(place / "anomalies").sort_by("transaction_id")


def tasks_of(directory: Path, worker: str) -> int:
    """Tasks that the executors of a worker began, by their logs."""
    launched = re.findall(r"Asked to launch executor (\S+)", (directory / f"{worker}.log").read_text())
    logs = [directory / "work" / executor / "stderr" for executor in launched]
    return sum(log.read_text().count("Running task") for log in logs if log.exists())
