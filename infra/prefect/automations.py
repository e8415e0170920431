"""Automations: what Prefect's server does by itself when runs or layers have something to say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.automations import AutomationCore, CallWebhook, ChangeFlowRunState, EventTrigger, Posture
from prefect.client.schemas.objects import StateType
from prefect.events.schemas.events import ResourceSpecification

from infra.prefect.names import SILENCE_S, TAG

_RUN = ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"})
_OURS = ResourceSpecification({"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"})
_ENDED = ("Completed", "Failed", "Crashed", "Cancelled", "Paused", "Suspended", "AwaitingRetry", "Scheduled")
_MESSAGE = (
    '{"text": {{ (flow.name ~ " run " ~ flow_run.name ~ " is " ~ flow_run.state.name ~ ": "'
    ' ~ (flow_run.state.message or "no message")) | tojson }}}'
)


def automations(webhook: UUID | None) -> Iterator[AutomationCore]:
    """Every automation of the platform, its definition's hash among its tags.

    An automation that is replaced forgets what it waits for, so whoever deploys leaves an unchanged one alone.

    Args:
        webhook: Block that failed runs are told to; none is when None.
    """
    declared = [crash_silent_runs()]
    if webhook is not None:
        declared.append(tell_of_failed_runs(webhook))
    for automation in declared:
        definition = json.dumps(_in_order(automation.model_dump(mode="json")), sort_keys=True)
        digest = hashlib.sha256(definition.encode()).hexdigest()[:12]
        yield automation.model_copy(update={"tags": [TAG, f"definition-{digest}"]})


def _in_order(value: Any) -> Any:
    """Sets of names become lists in another order in every process."""
    if isinstance(value, dict):
        return {name: _in_order(held) for name, held in value.items() if name != "id"}
    return sorted((_in_order(held) for held in value), key=repr) if isinstance(value, list) else value


def crash_silent_runs() -> AutomationCore:
    """A run whose process or machine is gone cannot say so itself; left alone it would be Running for ever."""
    ended = {f"prefect.flow-run.{name}" for name in _ENDED}
    return AutomationCore(
        name="lakehouse: a silent run has crashed",
        description=f"No sign of life for {SILENCE_S} s: its process or machine is gone. The next run repairs.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            match=_RUN,
            match_related=_OURS,
            for_each={"prefect.resource.id"},
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *ended},
            threshold=1,
            within=timedelta(seconds=SILENCE_S),
        ),
        actions=[
            ChangeFlowRunState(
                name=None,
                force=False,
                state=StateType.CRASHED,
                message=f"no sign of life for {SILENCE_S} s; what was published stays, the next run repairs the rest",
            )
        ],
    )


def tell_of_failed_runs(webhook: UUID) -> AutomationCore:
    """The state message of a failed run, which names table, check and value where a gate stayed shut."""
    return AutomationCore(
        name="lakehouse: tell of failed runs",
        description="Calls the webhook of setting flow.webhook with the run's name and its state's message.",
        trigger=EventTrigger(
            posture=Posture.Reactive,
            match=_RUN,
            match_related=_OURS,
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            threshold=1,
        ),
        actions=[CallWebhook(block_document_id=webhook, payload=_MESSAGE)],
    )
