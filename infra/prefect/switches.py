"""What a person switched on a server's pages, kept over a deploy, which makes schedules and triggers anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse


@contextmanager
def kept_switches(client: SyncPrefectClient) -> Iterator[None]:
    """Schedules (by deployment and slug) and triggers (by name) are after the block as active as they were before."""
    schedules = {key: active for key, _, _, active in _schedules(client.read_deployments())}
    triggers = {trigger.name: trigger.enabled for trigger in client.read_automations()}
    yield
    deployed = client.read_deployments()
    for key, deployment, schedule, active in _schedules(deployed):
        if (wanted := schedules.get(key, active)) != active:
            client.update_deployment_schedule(deployment.id, schedule, active=wanted)
    for trigger in client.read_automations():
        wanted = triggers.get(trigger.name, trigger.enabled)
        if wanted and not trigger.enabled:
            client.resume_automation(trigger.id)
        elif trigger.enabled and not wanted:
            client.pause_automation(trigger.id)


def _schedules(
    deployments: list[DeploymentResponse],
) -> Iterator[tuple[tuple[str, str], DeploymentResponse, UUID, bool]]:
    for deployment in deployments:
        for schedule in deployment.schedules:
            yield (deployment.name, str(schedule.slug)), deployment, schedule.id, schedule.active
