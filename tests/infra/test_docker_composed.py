"""The commands and variables of compose.yaml, run for real: server on Postgres, migrations, deploy, worker, service."""

from __future__ import annotations

import sys
import time
from typing import Any

import httpx
import pytest

from infra.ports import free_port
from tests.infra.composed import SECRETS, Composed, composed, postgres_binaries
from tests.missing import missing
from tests.standing import answers

pytestmark = pytest.mark.e2e
RUN_S = 180
SMALL = {"LAKEHOUSE_GENERATE__SCALE": "0.01", "LAKEHOUSE_GENERATE__DAYS": "120"}
ROW = {
    "transaction_id": "t-1", "account_id": "a-42", "merchant_id": "m-7", "category": "grocery",
    "occurred_at": "2026-03-31T09:30:00Z", "amount": "12.50", "currency": "EUR", "channel": "online",
}  # fmt: skip


@pytest.mark.timeout(600)
def test_the_composed_platform_deploys_runs_a_flow_and_takes_rows() -> None:
    binaries = postgres_binaries()
    if binaries is None:
        missing("PostgreSQL")
    user, _, password = SECRETS["PREFECT_AUTH_STRING"].partition(":")
    with composed() as platform, platform.postgres(binaries):
        platform.run("migrate")
        prefect = f"http://127.0.0.1:{platform.ports['prefect']}/api"
        with (
            platform.running("prefect", lambda: answers(f"{prefect}/health")),
            httpx.Client(base_url=prefect, auth=(user, password), timeout=30) as client,
        ):
            assert httpx.post(f"{prefect}/deployments/filter", json={}).status_code == 401
            platform.run("deploy")
            platform.run("deploy")  # once more changes nothing
            deployed = client.post("/deployments/filter", json={}).json()
            assert sorted(d["name"] for d in deployed) == ["exports", "medallion", "transactions"]
            assert {d["work_pool_name"] for d in deployed} == {"lakehouse"}
            assert answers(f"{prefect}/ready")
            port = str(free_port())
            loopback = {"PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1", "PREFECT_WORKER_WEBSERVER_PORT": port}
            healthy = f"http://127.0.0.1:{port}/health"
            with platform.running("worker", lambda: _is_online(client) and answers(healthy), **loopback, **SMALL):
                state = _run(client, "medallion/medallion")
        assert state["type"] == "COMPLETED", state["message"]
        assert (platform.image / "data" / "exports" / "daily_kpis.csv").stat().st_size > 0
        _serves(platform)


def _is_online(client: httpx.Client) -> bool:
    answer = client.post("/work_pools/lakehouse/workers/filter", json={})
    return answer.is_success and any(worker["status"] == "ONLINE" for worker in answer.json())


def _run(client: httpx.Client, name: str) -> dict[str, Any]:
    """Start a deployment and wait for the last state of its run."""
    deployment = client.get(f"/deployments/name/{name}").json()["id"]
    run = client.post(f"/deployments/{deployment}/create_flow_run", json={}).json()["id"]
    until = time.monotonic() + RUN_S
    while time.monotonic() < until:
        state: dict[str, Any] = client.get(f"/flow_runs/{run}").json()["state"]
        if state["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            return state
        time.sleep(1)
    raise AssertionError(f"{name} did not end within {RUN_S} s: {state}")


def _serves(platform: Composed) -> None:
    keys = [sys.executable, "-m", "cli", "keys", "create", "till-7", "--scope", "ingest", "--scope", "read"]
    key = platform.run("api", keys).stdout.strip()
    service = f"http://127.0.0.1:{platform.ports['api']}"
    with platform.running("api", lambda: answers(f"{service}/health/ready")):
        said = httpx.post(f"{service}/api/v1/ingest", json=ROW, headers={"Authorization": f"Bearer {key}"})
        assert (said.status_code, said.json()["status"]) == (201, "committed"), said.text
        assert httpx.post(f"{service}/api/v1/ingest", json=ROW).status_code == 401
