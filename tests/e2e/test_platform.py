"""`lakehouse up` on this machine: real server, worker and service; every deployment runs, and what fails says why."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from playwright.sync_api import Page, expect, sync_playwright

from infra import processes
from infra.ports import free_port
from infra.prefect.names import SILENCE_S
from lake.lake import Lake
from lake.lock import writer_lock
from tests.e2e.conftest import PROJECT, SMALL, Cli
from tests.standing import until
from tests.webhook import Webhook

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]
PREFECT = str(Path(sys.executable).with_name("prefect"))
RUN_S = 180
TRANSACTIONS = ("engine=sail", "count=400000")
SEEN_MS = 30_000
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
SPEND = "spend_id,channel_id,spend_date,amount,impressions,clicks\n"


@dataclass(frozen=True)
class Platform:
    """What `up --json` said, and its server's API."""

    cli: Cli
    said: dict[str, Any]
    server: str

    def post(self, path: str, **body: Any) -> Any:
        answer = httpx.post(f"{self.server}/api/{path}", json=body, timeout=30)
        assert answer.is_success, answer.text
        return answer.json()

    def prefect(self, *arguments: str, code: int = 0) -> str:
        environment = self.cli.environment(PREFECT_API_URL=f"{self.server}/api", DO_NOT_TRACK="1")
        done = subprocess.run(
            [PREFECT, "--no-prompt", *arguments], cwd=self.cli.folder, env=environment, capture_output=True,
            text=True, timeout=RUN_S, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start_run(self, deployment: str, *parameters: str) -> str:
        """Start a deployment's run by Prefect's own command; its id."""
        given = [part for parameter in parameters for part in ("--param", parameter)]
        before = {run["id"] for run in self.runs()}
        self.prefect("deployment", "run", deployment, *given)
        (new,) = {run["id"] for run in self.runs()} - before
        return str(new)

    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.post("flow_runs/filter", limit=200)
        return found

    def run(self, run_id: str) -> dict[str, Any]:
        return next(run for run in self.runs() if run["id"] == run_id)

    def end_of(self, run_id: str, seconds: float = RUN_S) -> dict[str, Any]:
        ended: dict[str, Any] = until(lambda: (run := self.run(run_id))["state_type"] in ENDED and run, seconds)
        return ended

    def artifacts(self, run_id: str) -> dict[str, Any]:
        """The run's artifacts by key; tables as rows."""
        found = self.post("artifacts/filter", limit=200, artifacts={"flow_run_id": {"any_": [run_id]}})
        return {a["key"]: json.loads(a["data"]) if a["type"] == "table" else a["data"] for a in found}

    def events(self, prefix: str, *resources: str) -> list[dict[str, Any]]:
        """The oldest 50 events of a name, of the named resources or of all."""
        body: dict[str, Any] = {"event": {"prefix": [prefix]}, "order": "ASC"}
        if resources:
            body["resource"] = {"id": [*resources]}
        found: list[dict[str, Any]] = self.post("events/filter", filter=body, limit=50)["events"]
        return found

    def process_of_run(self) -> psutil.Process:
        """The process that runs a flow just now."""
        worker = psutil.Process(self.part("worker"))
        child: psutil.Process = until(lambda: next(iter(worker.children()), None), 60)
        return child

    @contextmanager
    def busy_lake(self) -> Iterator[None]:
        """While the block lasts, runs wait for the lake's lock, however little they have to do."""
        with writer_lock(Lake(self.cli.folder / "data/lake"), "the test", 60):
            yield

    def part(self, name: str) -> int:
        """Process id of server, worker or api, as its pid file now says."""
        return processes.running(self.cli.folder / "data/platform")[name]

    def heartbeats(self, run_id: str) -> int:
        return len(self.events("prefect.flow-run.heartbeat", f"prefect.flow-run.{run_id}"))


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1400, "height": 1400})
        browser.close()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform on free ports, with a small company; ended by `down`."""
    cli = Cli(tmp_path_factory.mktemp("platform"), {**SMALL, "LAKEHOUSE_LAKE__LOCK_WAIT_S": "300"})
    prefect_port, api_port = free_port(), free_port()
    try:
        said = cli.json("up", "--prefect-port", str(prefect_port), "--api-port", str(api_port))
        yield Platform(cli, said, f"http://127.0.0.1:{prefect_port}")
    finally:
        assert "server" in cli.json("down")


def test_up_starts_server_worker_and_service_and_deploys_what_prefect_yaml_lists(platform: Platform) -> None:
    declared = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    assert platform.said["deployments"] == sorted(f"{d['name']}/{d['name']}" for d in declared)
    assert {p["part"]: p["state"] for p in platform.said["parts"]} == dict.fromkeys(
        ("server", "api", "worker"), "started"
    )
    service = next(p["address"] for p in platform.said["parts"] if p["part"] == "api")
    headers = {"Authorization": f"Bearer {platform.said['key']}"}
    assert httpx.get(f"{service}/api/v1/tables", headers=headers).status_code == 200
    deployed = platform.post("deployments/filter", limit=50)
    assert all(not s["active"] for d in deployed for s in d["schedules"])
    assert all(d["enforce_parameter_schema"] and d["description"] and "lakehouse" in d["tags"] for d in deployed)
    assert not any(a["enabled"] for a in platform.post("automations/filter") if a["name"] == "exports follow gold")


def test_up_again_leaves_what_runs_alone(platform: Platform) -> None:
    again = _up_again(platform)
    assert [p["state"] for p in again["parts"]] == ["was running"] * 3
    assert [p["process"] for p in again["parts"]] == [p["process"] for p in platform.said["parts"]]
    assert again["key"] is None


def test_a_killed_run_is_crashed_and_the_next_one_repairs(platform: Platform) -> None:
    run_id = platform.start_run("transactions/transactions", *TRANSACTIONS)
    staging = platform.cli.folder / "data/lake/_staging"
    until(lambda: staging.exists() and any(staging.iterdir()), RUN_S)
    platform.process_of_run().send_signal(signal.SIGKILL)
    run = platform.end_of(run_id)
    assert run["state_type"] == "CRASHED"
    until(lambda: not staging.exists(), 30)
    # A lease of the killed one may keep the writer's slot for a minute.
    again = platform.end_of(platform.start_run("transactions/transactions", *TRANSACTIONS))
    assert again["state_type"] == "COMPLETED", again["state"]


def test_every_deployment_runs_to_completed_and_shows_what_it_did(platform: Platform) -> None:
    for deployment, parameters, expected in (
        ("medallion/medallion", (), {"row-counts", "row-balance", "check-results", "lineage", "export-revenue-csv"}),
        ("transactions/transactions", TRANSACTIONS, {"anomaly-evaluation", "step-times"}),
        ("exports/exports", (), {"export-daily-kpis-csv"}),
    ):
        run_id = platform.start_run(deployment, *parameters)
        run = platform.end_of(run_id)
        assert run["state_type"] == "COMPLETED", run["state"]
        assert run["name"].startswith(deployment.partition("/")[0] + " 20")
        assert expected <= platform.artifacts(run_id).keys()
    published = platform.events("lakehouse.layer.published")
    first = {table: e["resource"]["prefect.resource.name"] for e in published for table in e["payload"]["versions"]}
    assert (first["bronze.users"], first["silver.users"], first["gold.revenue"]) == ("bronze", "silver", "gold")
    assert platform.events("lakehouse.layer.quarantined")[0]["payload"]["rows"]


def test_a_person_sees_the_run_its_tasks_and_its_artifacts(platform: Platform, page: Page, tmp_path: Path) -> None:
    run = next(run for run in platform.runs() if run["name"].startswith("medallion"))
    page.goto(f"{platform.server}/runs/flow-run/{run['id']}")
    expect(page.get_by_text(run["name"]).first).to_be_visible(timeout=SEEN_MS)
    expect(page.get_by_text("Completed").first).to_be_visible(timeout=SEEN_MS)
    page.get_by_text("Task Runs", exact=True).first.click()
    expect(page.get_by_text("publish gold").first).to_be_visible(timeout=SEEN_MS)
    page.get_by_text("Artifacts", exact=True).first.click()
    expect(page.get_by_text("lineage").first).to_be_visible(timeout=SEEN_MS)
    page.screenshot(path=tmp_path / "run.png")


def test_lineage_reaches_from_an_export_to_bronze(platform: Platform) -> None:
    run = next(run for run in platform.runs() if run["name"].startswith("medallion"))
    lines = {line["table"]: line for line in platform.artifacts(run["id"])["lineage"]}
    reached, frontier = set(), {"gold.daily_kpis"}
    while frontier:
        name = frontier.pop()
        reached.add(name)
        parents = filter(None, str(lines[name]["computed from"]).split(", "))
        frontier |= {parent.rpartition(" v")[0] for parent in parents} - reached
    assert lines["gold.daily_kpis"]["export"] == "daily_kpis.csv"
    assert "bronze.events" in reached


def test_what_was_switched_on_the_pages_stays_so_over_a_deploy(platform: Platform) -> None:
    def schedules() -> dict[str, bool]:
        found = platform.post("deployments/filter", limit=50)
        return {d["name"]: s["active"] for d in found for s in d["schedules"]}

    platform.prefect("deployment", "schedule", "resume", "--all")
    platform.prefect("automation", "resume", "exports follow gold")
    before = schedules()
    platform.cli("deploy", PREFECT_API_URL=f"{platform.server}/api")
    assert schedules() == before == dict.fromkeys(("medallion", "transactions", "exports"), True)
    assert [a["enabled"] for a in platform.post("automations/filter") if a["name"] == "exports follow gold"] == [True]
    platform.prefect("deployment", "schedule", "pause", "--all")


def test_a_published_gold_starts_the_next_deployment(platform: Platform) -> None:
    """The trigger was switched on by the test before this one."""
    before = {run["id"] for run in platform.runs()}
    platform.cli.drop("marketing_spend", "more.csv", SPEND + "more-1,ch_search_ads,2025-06-30,19.90,1200,34\n")
    run = platform.end_of(platform.start_run("medallion/medallion"))
    assert run["state_type"] == "COMPLETED", run["state"]
    followed = until(lambda: [r for r in platform.runs() if r["id"] not in before | {run["id"]}], 60)
    assert platform.end_of(followed[0]["id"])["name"].startswith("exports")
    platform.prefect("automation", "pause", "exports follow gold")


def test_a_run_of_the_command_line_uses_the_standing_server(platform: Platform) -> None:
    platform.cli("run")
    assert sum(run["name"].startswith("medallion") and run["deployment_id"] is None for run in platform.runs()) == 1


def test_a_parameter_of_the_wrong_type_is_refused_by_name(platform: Platform) -> None:
    said = platform.prefect("deployment", "run", "transactions/transactions", "--param", "count=many", code=1)
    assert "field 'count'" in said
    assert "'many'" in said


def test_a_port_in_use_and_an_unknown_deployment_are_told(platform: Platform, tmp_path: Path) -> None:
    other = Cli(tmp_path)
    taken = platform.server.rpartition(":")[2]
    said = other("up", "--prefect-port", taken, "--api-port", str(free_port()), code=4).stderr
    assert "in use" in said
    assert "--prefect-port" in said
    assert not list((tmp_path / "data/platform").glob("*.pid"))
    ports = ("--prefect-port", taken, "--api-port", _api_port(platform))
    assert "no deployment 'bronze'" in platform.cli("up", *ports, "--run", "bronze", code=1).stderr


def test_a_cancelled_run_ends_cancelled_and_leaves_no_candidates(platform: Platform) -> None:
    staging = platform.cli.folder / "data/lake/_staging"
    with platform.busy_lake():
        run_id = platform.start_run("medallion/medallion")
        until(lambda: platform.run(run_id)["state_type"] == "RUNNING", RUN_S)
        platform.prefect("flow-run", "cancel", run_id)
        assert platform.end_of(run_id)["state_type"] == "CANCELLED"
    assert not staging.exists() or not any(staging.iterdir())


def test_down_lets_the_server_know_of_runs_it_ended(platform: Platform) -> None:
    with platform.busy_lake():
        run_id = platform.start_run("medallion/medallion")
        until(lambda: platform.run(run_id)["state_type"] == "RUNNING", RUN_S)
        assert set(platform.cli.json("down")) == {"server", "worker", "api"}
    _up_again(platform)
    run = platform.run(run_id)
    assert run["state_type"] == "CRASHED"
    assert "lakehouse down" in run["state"]["message"]


def test_a_run_whose_worker_and_process_are_gone_is_crashed_for_want_of_signs_of_life(platform: Platform) -> None:
    with platform.busy_lake():
        run_id = platform.start_run("medallion/medallion")
        until(lambda: platform.heartbeats(run_id), RUN_S)
        process = platform.process_of_run()
        os.killpg(platform.part("worker"), signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
    run = platform.end_of(run_id, SILENCE_S + 60)
    assert (run["state_type"], "no sign of life" in run["state"]["message"]) == ("CRASHED", True)
    assert [p["part"] for p in _up_again(platform)["parts"] if p["state"] == "started"] == ["worker"]


def test_a_server_that_is_killed_and_started_again_learns_how_the_run_ended(platform: Platform) -> None:
    with platform.busy_lake():
        run_id = platform.start_run("medallion/medallion")
        until(lambda: platform.run(run_id)["state_type"] == "RUNNING", RUN_S)
        os.killpg(platform.part("server"), signal.SIGKILL)
        assert [p["part"] for p in _up_again(platform)["parts"] if p["state"] == "started"] == ["server"]
    run = platform.end_of(run_id)
    assert run["state_type"] == "COMPLETED", run["state"]


def test_a_shut_gate_is_a_failed_run_that_says_why_and_is_carried_out(platform: Platform) -> None:
    with Webhook() as hook:
        platform.cli.settings["LAKEHOUSE_FLOW__WEBHOOK"] = hook.url
        platform.cli("deploy", PREFECT_API_URL=f"{platform.server}/api")
        platform.cli.drop("marketing_spend", "bad.csv", SPEND + "".join(f"s{i},nobody,,-5,1,2\n" for i in range(3000)))
        run_id = platform.start_run("medallion/medallion")
        run = platform.end_of(run_id)
        told = hook.wait(RUN_S)
    assert run["state_type"] == "FAILED"
    assert "gate is shut" in run["state"]["message"]
    assert "silver.marketing_spend" in {check["table"] for check in platform.artifacts(run_id)["check-results"]}
    events = until(lambda: platform.events("lakehouse.layer.gate-failed"), 60)
    assert "silver.marketing_spend" in events[-1]["payload"]["problems"]
    assert run["name"] in told["text"]
    assert "gate is shut" in told["text"]


def _up_again(platform: Platform) -> Any:
    ports = ("--prefect-port", platform.server.rpartition(":")[2], "--api-port", _api_port(platform))
    return platform.cli.json("up", *ports)


def _api_port(platform: Platform) -> str:
    return str(next(p["address"] for p in platform.said["parts"] if p["part"] == "api").rpartition(":")[2])
