"""The flow on Prefect's ephemeral API: named runs, tagged tasks, artifacts, and a failed gate that says why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from flows.medallion import medallion
from lake.configuration import load_settings
from lake.errors import GateError

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[None]:
    """One ephemeral API for the session: it takes seconds to start."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


def write_config(folder: Path, **generate: Any) -> Path:
    """A configuration whose every place lies in `folder`."""
    config = folder / "lakehouse.yaml"
    config.write_text(
        yaml.safe_dump({
            "lake": {"root": str(folder / "lake")},
            "land": {"inbox": str(folder / "inbox")},
            "export": {"directory": str(folder / "exports")},
            "generate": {"scale": 0.01, "days": 120, **generate},
            "flow": {"retries": 1, "retry_delay_s": 0},
        })
    )  # fmt: skip
    return config


def from_api(fetch: Any) -> Any:
    async def call() -> Any:
        async with get_client() as client:
            return await fetch(client)

    return asyncio.run(call())


@pytest.mark.usefixtures("prefect_api")
def test_a_run_shows_its_tasks_by_layer_and_its_artifacts(tmp_path: Path) -> None:
    state = medallion(config=write_config(tmp_path), return_state=True)
    assert state.is_completed()
    run_id = state.state_details.flow_run_id
    artifacts = from_api(lambda client: client.read_artifacts(limit=200))
    ours = {a.key for a in artifacts if a.flow_run_id == run_id}
    assert {"row-counts", "row-balance", "check-results", "export-daily-kpis-csv"} <= ours
    assert (tmp_path / "exports" / "quality_report.json").exists()


@pytest.mark.usefixtures("prefect_api")
def test_a_shut_gate_fails_the_run_and_its_message_says_why(tmp_path: Path) -> None:
    spend = tmp_path / "inbox" / "marketing_spend"
    spend.mkdir(parents=True)
    rows = "".join(f"s{i},nobody,2026-01-01,1.00,1,1\n" for i in range(9))
    (spend / "bad.csv").write_text("spend_id,channel_id,spend_date,amount,impressions,clicks\n" + rows)
    state = medallion(config=write_config(tmp_path, enabled=False), return_state=True)
    assert state.is_failed()
    assert "silver.marketing_spend" in (state.message or "")
    assert isinstance(asyncio.run(_error(state)), GateError)
    assert (tmp_path / "exports" / "quality_report.json").exists()
    assert not (tmp_path / "lake" / "silver").exists()


async def _error(state: Any) -> Any:
    found = state.result(raise_on_failure=False)
    return await found if asyncio.iscoroutine(found) else found


def test_every_deployment_names_a_flow_that_exists_and_is_quiet() -> None:
    declared = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    flows = {f"flows/{p.name}:{p.stem}" for p in (PROJECT / "flows").glob("*.py") if p.stem != "__init__"}
    assert {d["entrypoint"] for d in declared} == flows
    for deployment in declared:
        environment = deployment["work_pool"]["job_variables"]["env"]
        assert environment["DO_NOT_TRACK"] == "1"
        assert environment["SODA_CORE_TELEMETRY_ENABLED"] == "false"
        assert deployment["enforce_parameter_schema"]


def test_the_default_configuration_is_what_the_flow_loads() -> None:
    assert load_settings(None, {}).flow.retries >= 1
