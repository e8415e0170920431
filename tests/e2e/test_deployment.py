"""prefect.yaml on a real server with a real worker: deployed, run, completed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import PROJECT, free_port

pytestmark = pytest.mark.e2e
STARTUP_S = 90
RUN_S = 150
TRANSACTIONS = ("-p", "engine=sail", "-p", "count=2000")
PREFECT = str(Path(sys.executable).with_name("prefect"))


@contextmanager
def started(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=output, stderr=output)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def prefect(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [PREFECT, "--no-prompt", *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(420)
def test_the_deployments_run_to_completed_on_a_server_and_worker(tmp_path: Path) -> None:
    api = f"http://127.0.0.1:{free_port()}/api"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "LAKEHOUSE_"))} | {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "SODA_CORE_TELEMETRY_ENABLED": "false",
        "LAKEHOUSE_LAKE__ROOT": str(tmp_path / "lake"),
        "LAKEHOUSE_LAND__INBOX": str(tmp_path / "inbox"),
        "LAKEHOUSE_EXPORT__DIRECTORY": str(tmp_path / "exports"),
        "LAKEHOUSE_GENERATE__SCALE": "0.01",
        "LAKEHOUSE_GENERATE__DAYS": "120",
    }
    server = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", api.split(":")[2].split("/", maxsplit=1)[0]]
    worker = [PREFECT, "worker", "start", "--pool", "lakehouse", "--limit", "1"]
    with started(server, environment, tmp_path / "server.log"):
        _wait_until_healthy(api)
        prefect(environment, "work-pool", "create", "--type", "process", "lakehouse")
        prefect(environment, "deploy", "--all")
        with started(worker, environment, tmp_path / "worker.log"):
            prefect(environment, "deployment", "run", "medallion/medallion")
            medallion = _last_state(api, runs=1)
            prefect(environment, "deployment", "run", "transactions/transactions", *TRANSACTIONS)
            transactions = _last_state(api, runs=2)
            kinds = {a["key"] for a in httpx.post(f"{api}/artifacts/filter", json={"limit": 200}).json()}
    log = (tmp_path / "worker.log").read_text()
    assert (medallion, transactions) == ("COMPLETED", "COMPLETED"), log[-4000:]
    assert (tmp_path / "exports" / "daily_kpis.csv").exists()
    assert (tmp_path / "exports" / "transaction_anomalies.csv").exists()
    assert {"row-counts", "row-balance", "check-results", "anomaly-evaluation", "step-times"} <= kinds


def _wait_until_healthy(api: str) -> None:
    deadline = time.monotonic() + STARTUP_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{api}/health").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise AssertionError("the Prefect server did not start")


def _last_state(api: str, runs: int) -> str:
    deadline = time.monotonic() + RUN_S
    state = "none"
    while time.monotonic() < deadline and state not in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
        found = httpx.post(f"{api}/flow_runs/filter", json={"sort": "EXPECTED_START_TIME_DESC", "limit": 10}).json()
        state = found[0]["state_type"] if len(found) == runs else "none"
        time.sleep(0.5)
    return state
