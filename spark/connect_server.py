"""A Spark Connect server of our own on loopback, for those who name none."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from lake.errors import MissingToolError
from spark.installation import spark_environment, spark_submit

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 20
_POLL_S = 0.1
_CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"


class ConnectServer:
    """A Java process that serves Spark Connect while the block runs; its output goes to ``scratch/connect.log``.

    Args:
        scratch: Directory for the log.
        settings: Spark settings, jars included.
        threads: Local threads.
    """

    def __init__(self, scratch: Path, settings: Mapping[str, str], threads: int) -> None:
        self._log, self._settings, self._threads = scratch / "connect.log", settings, threads
        self._port = _free_port()
        self.address = f"sc://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), env=spark_environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _command(self) -> list[str]:
        own = {"spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": str(self._port)}
        settings = [part for key, value in {**self._settings, **own}.items() for part in ("--conf", f"{key}={value}")]
        return [spark_submit(), "--master", f"local[{self._threads}]", *settings, "--class", _CLASS, "spark-internal"]

    def _wait(self) -> None:
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(_POLL_S)
        raise MissingToolError("the Spark Connect server did not start", mend=f"its last words are in {self._log}")

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
