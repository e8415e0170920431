"""Spark sessions: Apache Spark with delta-spark, Spark Connect, or the embedded engine Sail, which needs no Java."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lake.errors import BadInputError, MissingToolError
from spark.connect_server import ConnectServer
from spark.installation import CONNECT_VARIABLES
from spark.jars import delta_jars
from spark.java import require_java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

INSTALL_ENGINES = "./lakehouse run --engine NAME   (the launcher installs what NAME needs)"
_CONNECT_PORT = 15_002
_LISTENER_TIMEOUT_S = 10

# Nobody but this machine talks to a driver that runs its own tasks or a cluster's of this machine.
_LOOPBACK = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}

DELTA_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
# What every session needs, whoever made it.
MOMENT_SETTINGS = {
    # Moments are UTC everywhere else in the platform.
    "spark.sql.session.timeZone": "UTC",
    # Readers of Parquet outside of Spark know no other.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}

# What differs from Spark's own defaults, and why.
_SETTINGS = {
    **DELTA_SETTINGS,
    **MOMENT_SETTINGS,
    # Each table's log would be read by 50 tasks.
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Tables begin small: a split of the default size would leave all but one thread idle.
    "spark.sql.files.maxPartitionBytes": "32m",
    # Whole sums matter, not pauses.
    "spark.driver.defaultJavaOptions": "-XX:+UseParallelGC",
    # A Hive metastore would leave its database in the working directory.
    "spark.sql.catalogImplementation": "in-memory",
}


@contextmanager
def spark_session(
    scratch: Path, *, threads: int = 2, memory_mb: int = 2048, master: str | None = None, partitions: int | None = None
) -> Iterator[SparkSession]:
    """Apache Spark with delta-spark; its output goes to ``scratch/spark.log``.

    Args:
        scratch: Directory for the log, spilled data and managed tables; created when needed.
        threads: Local threads.
        memory_mb: Memory of the Java process.
        master: A cluster's address; this machine when absent.
        partitions: Of a shuffle; as many as threads when absent.

    Raises:
        MissingToolError: No Java, or pyspark or delta-spark is not installed.
    """
    _prepare_java(scratch)
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("lakehouse").master(master or f"local[{threads}]")
    for key, value in _settings(scratch, threads, memory_mb, master, partitions).items():
        builder = builder.config(key, value)
    with _output_to(scratch / "spark.log"), _no_connect_variables():
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session
    finally:
        session.stop()


@contextmanager
def connect_session(
    scratch: Path, *, threads: int = 2, memory_mb: int = 2048, remote: str | None = None, partitions: int | None = None
) -> Iterator[SparkSession]:
    """Spark Connect: a session of the server at `remote`, or of one of our own that ends with the block.

    Args:
        scratch: As for `spark_session`; for a server of our own.
        threads: Likewise.
        memory_mb: Likewise.
        remote: Address such as ``sc://host:15002``.
        partitions: Likewise.

    Raises:
        MissingToolError: No Java for a server of our own, or pyspark or delta-spark is not installed.
        BadInputError: Nobody answers at `remote`.
    """
    if remote is not None:
        require_packages("pyspark")
        _require_listener(remote)
        with _remote_session(remote) as session:
            yield session
        return
    _prepare_java(scratch)
    with (
        ConnectServer(scratch, _settings(scratch, threads, memory_mb, None, partitions), threads) as server,
        _remote_session(server.address) as session,
    ):
        yield session


def _prepare_java(scratch: Path) -> None:
    require_packages("pyspark", "delta-spark")
    require_java()
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


def _settings(
    scratch: Path, threads: int, memory_mb: int, master: str | None, partitions: int | None
) -> dict[str, str]:
    on_this_machine = master is None or "//127.0.0.1:" in master or "//localhost:" in master
    return {
        **_SETTINGS,
        **(_LOOPBACK if on_this_machine else {}),
        "spark.driver.memory": f"{memory_mb}m",
        "spark.sql.shuffle.partitions": str(partitions or threads),
        "spark.default.parallelism": str(threads),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.local.dir": str(scratch / "spill"),
        **delta_jars(),
    }


@contextmanager
def sail_session() -> Iterator[SparkSession]:
    """Sail, a Spark Connect server inside this process.

    Raises:
        MissingToolError: pysail or pyspark is not installed.
    """
    require_packages("pysail", "pyspark")
    # Sail reports its coming and going at INFO.
    os.environ.setdefault("RUST_LOG", "error")
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    _, port = server.listening_address
    try:
        with _remote_session(f"sc://127.0.0.1:{port}") as session:
            yield session
    finally:
        server.stop()


def _require_listener(remote: str) -> None:
    """Connect's client asks a server that is not there again and again for ten minutes."""
    place = urlsplit(remote)
    try:
        with socket.create_connection((place.hostname, place.port or _CONNECT_PORT), timeout=_LISTENER_TIMEOUT_S):
            pass
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"no Spark Connect server answers ({error})", where=remote, mend="start it, or name another: sc://HOST:PORT"
        ) from None


@contextmanager
def _remote_session(address: str) -> Iterator[SparkSession]:
    from pyspark.sql import SparkSession

    # Connect's client tells of each retry.
    logging.getLogger("pyspark.sql.connect.logging").setLevel(logging.ERROR)
    session = SparkSession.builder.remote(address).create()
    try:
        session.conf.set("spark.sql.session.timeZone", "UTC")
        yield session
    finally:
        session.stop()
        for name in CONNECT_VARIABLES:
            os.environ.pop(name, None)


@contextmanager
def _no_connect_variables() -> Iterator[None]:
    """What a remote session of this process left in the environment would make a classic one remote too."""
    held = {name: os.environ.pop(name) for name in CONNECT_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(held)


def require_packages(*names: str) -> None:
    """Stop when a package of the engines' lock is not installed.

    Raises:
        MissingToolError: Names the first one missing.
    """
    for name in names:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise MissingToolError(f"{name} is not installed", mend=INSTALL_ENGINES) from None


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Let processes started in the block write their errors to `log`: a Java process keeps what it inherited."""
    sys.stderr.flush()
    kept = os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(target, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(target)
