"""What Prefect's server has to know: work pool, one writer a lake, automations, and the deployments of prefect.yaml.

    ./lakehouse deploy

Doing it again changes only what differs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate, WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed
from prefect.types import SecretDict

from infra.prefect.automations import automations
from infra.prefect.names import POOL
from infra.prefect.switches import kept_switches
from lake.errors import LakehouseError
from lake.settings import PROJECT_ROOT, Settings
from tasks.prefect_runs import WRITER_SLOT

_POOL_TYPE = "process"
_WEBHOOK = "lakehouse-failed-runs"
_SHOWN_LINES = 12
_MOST_LIMITS = 200
_GOING_ON = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)


def prepare(settings: Settings) -> None:
    """Make what a worker and the deployments need: pool, writer's slot, automations.

    The server is that of ``PREFECT_API_URL``, which the caller has found to answer (tasks.prefect_server).

    Raises:
        LakehouseError: The pool is of another type.
    """
    with get_client(sync_client=True) as client:
        _make_pool(client)
        client.upsert_global_concurrency_limit_by_name(WRITER_SLOT, 1)
        if not _runs_going_on(client):
            _free_lost_slots(client)
        _automate(client, _save_webhook(settings))


def deploy_flows() -> tuple[str, ...]:
    """Deploy what prefect.yaml lists, on the server that `prepare` spoke to.

    Returns:
        Deployments as ``flow/deployment``.

    Raises:
        LakehouseError: The server refuses a deployment.
    """
    with get_client(sync_client=True) as client:
        with kept_switches(client):
            _deploy_all()
        found = client.read_deployments()
        flows = {flow.id: flow.name for flow in client.read_flows()}
    return tuple(sorted(f"{flows[d.flow_id]}/{d.name}" for d in found))


def crash_runs(message: str) -> tuple[str, ...]:
    """Let the server know that the pool's runs in progress are over: whoever ends their worker ends them with it.

    Returns:
        Names of the runs.
    """
    with get_client(sync_client=True) as client:
        runs = _runs_going_on(client)
        for run in runs:
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)
    return tuple(run.name for run in runs)


def _runs_going_on(client: SyncPrefectClient) -> list[FlowRun]:
    states = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[*_GOING_ON])))
    return client.read_flow_runs(
        flow_run_filter=states, work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    )


def _free_lost_slots(client: SyncPrefectClient) -> None:
    """A server that lost its leases with its file system would count slots of runs that are over for ever."""
    ours = {WRITER_SLOT, *(f"deployment:{d.id}" for d in client.read_deployments() if d.work_pool_name == POOL)}
    for limit in client.read_global_concurrency_limits(limit=_MOST_LIMITS):
        if limit.name in ours and limit.active_slots:
            client.update_global_concurrency_limit(limit.name, GlobalConcurrencyLimitUpdate(active_slots=0))


def _make_pool(client: SyncPrefectClient) -> None:
    try:
        pool = client.read_work_pool(POOL)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=POOL, type=_POOL_TYPE, description="Runs flows as processes"))
        return
    if pool.type != _POOL_TYPE:
        raise LakehouseError(
            f"work pool {POOL} is of type {pool.type}, prefect.yaml deploys to one of type {_POOL_TYPE}",
            where=str(client.api_url),
            mend=f"prefect work-pool delete {POOL}   (its deployments are made anew), then ./lakehouse deploy",
        )


def _save_webhook(settings: Settings) -> UUID | None:
    if settings.flow.webhook is None:
        return None
    block = Webhook(url=settings.flow.webhook, headers=SecretDict({"Content-Type": "application/json"}))
    return UUID(str(block.save(_WEBHOOK, overwrite=True)))


def _automate(client: SyncPrefectClient, webhook: UUID | None) -> None:
    for automation in automations(webhook):
        known = client.read_automations_by_name(automation.name)
        if not known:
            client.create_automation(automation)
        elif known[0].tags != automation.tags:
            client.update_automation(known[0].id, automation)


def _deploy_all() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=PROJECT_ROOT, env={**os.environ, "PWD": str(PROJECT_ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise LakehouseError(
            "prefect deploy failed: " + " ".join(line.strip() for line in said[-_SHOWN_LINES:]),
            where="prefect.yaml", mend="mend what it names, then ./lakehouse deploy",
        )  # fmt: skip
