"""The Data Factory pipeline against a real Prefect server: it starts a run, waits for its end, and ends alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import httpx
import pytest

from infra.ports import free_port
from infra.validate import INFRA
from tests.infra.pipeline_runner import TOKEN, ActivityFailedError, PipelineRun, pipeline_of
from tests.standing import answers, standing, until

pytestmark = pytest.mark.e2e
AUTH = "factory:p%ss word"
RETRY_S = 0.5
FLOWS = """
from prefect import flow, serve

@flow
def adds(left: int, right: int) -> int:
    return left + right

@flow
def refuses() -> None:
    raise ValueError("the gate of silver.payments did not open")

if __name__ == "__main__":
    serve(adds.to_deployment("from factory"), refuses.to_deployment("from factory"), pause_on_shutdown=False, limit=2)
"""
UNSERVED = """
from prefect import flow

@flow
def waits() -> None:
    pass

if __name__ == "__main__":
    waits.from_source(".", "unserved.py:waits").deploy("by nobody", work_pool_name="nobody", print_next_steps=False)
"""


class Vault(BaseHTTPRequestHandler):
    """As much of Key Vault as the pipeline asks for: a secret, for the factory's token and an API version."""

    def do_GET(self) -> None:
        is_allowed = self.headers["Authorization"] == f"Bearer {TOKEN}" and "?api-version=" in self.path
        self.send_response(200 if is_allowed and self.path.startswith("/secrets/prefect-auth") else 403)
        self.end_headers()
        self.wfile.write(json.dumps({"value": AUTH} if is_allowed else {"error": {"code": "Forbidden"}}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@dataclass(frozen=True)
class Platform:
    api: str
    secret: str
    client: httpx.Client

    def run(self, flow: str, deployment: str = "from factory", run_id: str | None = None, **given: Any) -> PipelineRun:
        template = INFRA / "data_factory" / "run-prefect-deployment.json"
        pipeline = pipeline_of(
            template, "run-prefect-deployment",
            prefectApiUrl=self.api, secretUri=self.secret, integrationRuntimeName="AutoResolveIntegrationRuntime",
        )  # fmt: skip
        given = {"flowName": flow, "deploymentName": deployment, "pollSeconds": 1, **given}
        # Prefect answers 503 while its SQLite is locked, which Data Factory would wait out.
        return PipelineRun(pipeline, run_id or str(uuid4()), self.client, given, lambda _: time.sleep(RETRY_S))

    def flow_runs(self, key: str) -> list[dict[str, Any]]:
        asked = {"flow_runs": {"idempotency_key": {"any_": [key]}}}
        user, _, password = AUTH.partition(":")
        return list(httpx.post(f"{self.api}/flow_runs/filter", json=asked, auth=(user, password)).json())


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("factory")
    (folder / "served.py").write_text(FLOWS)
    (folder / "unserved.py").write_text(UNSERVED)
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "LAKEHOUSE_"))} | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": api,
        "PREFECT_API_AUTH_STRING": AUTH,
        "PREFECT_SERVER_API_AUTH_STRING": AUTH,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        # On a busy machine a turn to write takes longer than the 10 s by default.
        "PREFECT_SERVER_DATABASE_TIMEOUT": "25",
        "DO_NOT_TRACK": "1",
    }
    prefect = [sys.executable, "-m", "prefect"]
    vault = ThreadingHTTPServer(("127.0.0.1", 0), Vault)
    threading.Thread(target=vault.serve_forever, daemon=True).start()
    user, _, password = AUTH.partition(":")
    with (
        httpx.Client(timeout=30) as client,
        standing(
            [*prefect, "server", "start", "--port", str(port)], folder / "server.log",
            lambda: answers(f"{api}/health"), cwd=folder, env=environment,
        ),
    ):  # fmt: skip
        for command in (
            [*prefect, "--no-prompt", "work-pool", "create", "--type", "process", "nobody"],
            [sys.executable, "unserved.py"],
        ):
            subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        name = f"{api}/deployments/name/refuses/from%20factory"
        with standing(
            [sys.executable, "served.py"], folder / "served.log",
            lambda: answers(name, auth=(user, password)), cwd=folder, env=environment,
        ):  # fmt: skip
            yield Platform(api, f"http://127.0.0.1:{vault.server_port}/secrets/prefect-auth", client)
    vault.shutdown()
    vault.server_close()


def test_a_completed_flow_run_ends_the_pipeline_green_and_got_its_parameters(platform: Platform) -> None:
    run = platform.run("adds", flowParameters={"left": 40, "right": 2})
    run.run()
    (flow_run,) = platform.flow_runs(run.run_id)
    assert (flow_run["state_type"], flow_run["parameters"]) == ("COMPLETED", {"left": 40, "right": 2})
    assert "data-factory" in flow_run["tags"]


def test_a_failed_flow_run_fails_the_pipeline_with_its_message(platform: Platform) -> None:
    with pytest.raises(ActivityFailedError, match=r"ended FAILED: .*the gate of silver\.payments did not open") as told:
        platform.run("refuses").run()
    assert (told.value.activity, told.value.code) == ("fail with its message", "FAILED")


def test_a_cancelled_flow_run_fails_the_pipeline(platform: Platform) -> None:
    run = platform.run("waits", "by nobody")
    user, _, password = AUTH.partition(":")

    def cancel() -> None:
        until(lambda: platform.flow_runs(run.run_id), 90)
        (flow_run,) = platform.flow_runs(run.run_id)
        state = {"state": {"type": "CANCELLED", "message": "by the operator"}, "force": True}
        httpx.post(f"{platform.api}/flow_runs/{flow_run['id']}/set_state", json=state, auth=(user, password))

    operator = threading.Thread(target=cancel)
    operator.start()
    with pytest.raises(ActivityFailedError, match="ended CANCELLED: by the operator"):
        run.run()
    operator.join()


def test_the_same_pipeline_run_starts_no_second_flow_run(platform: Platform) -> None:
    run_id = str(uuid4())
    for _ in range(2):
        platform.run("adds", run_id=run_id, flowParameters={"left": 1, "right": 2}).run()
    assert len(platform.flow_runs(run_id)) == 1


def test_a_lost_answer_to_the_start_is_tried_again_and_starts_no_second_flow_run(platform: Platform) -> None:
    run = platform.run("adds", flowParameters={"left": 1, "right": 2})
    lost: list[int] = []

    def lose(answer: httpx.Response) -> None:
        if answer.request.method == "POST" and not lost:
            lost.append(answer.status_code)
            raise httpx.ReadError("the connection broke")

    with httpx.Client(timeout=30, event_hooks={"response": [lose]}) as client:
        run.client = client
        run.run()
    assert lost == [201]
    assert len(platform.flow_runs(run.run_id)) == 1


def test_a_run_that_nobody_executes_fails_the_pipeline_at_its_time_limit(platform: Platform) -> None:
    run = platform.run("waits", "by nobody")
    loop = next(a for a in run.pipeline["activities"] if a["type"] == "Until")
    loop["typeProperties"]["timeout"] = "0.00:00:03"
    with pytest.raises(ActivityFailedError, match="timed out"):
        run.run()
    assert run.variables["stateType"] == "SCHEDULED"


def test_a_deployment_that_is_not_there_and_a_secret_that_is_refused_fail_by_name(platform: Platform) -> None:
    with pytest.raises(ActivityFailedError, match="404") as missing:
        platform.run("adds", "of yesterday").run()
    assert missing.value.activity == "find deployment"
    with pytest.raises(ActivityFailedError, match="403") as refused:
        platform.run("adds", secretUri=platform.secret.replace("prefect-auth", "other")).run()
    assert refused.value.activity == "read secret"


def test_wrong_credentials_are_refused_by_the_server(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.infra.test_data_factory_runs.AUTH", "factory:yesterday's")
    with pytest.raises(ActivityFailedError, match="401") as refused:
        platform.run("adds").run()
    assert refused.value.activity == "find deployment"
