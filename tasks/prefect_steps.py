"""Steps as Prefect task runs: named by verb and layer, timed out, retried where a rerun can help."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from prefect import task
from prefect.client.schemas.objects import State, TaskRun

from lake.errors import LakehouseError
from lake.settings import FlowSettings
from tasks.workspace import Result, run_plainly


class PrefectSteps:
    """Makes every step a task run of the current flow run, and remembers how long each took.

    Args:
        settings: Retries and time-out of each task.
    """

    def __init__(self, settings: FlowSettings) -> None:
        self._settings = settings
        self.timings: list[dict[str, object]] = []

    def __call__(self, name: str, layer: str, step: Callable[[], Result]) -> Result:
        @task(
            # The layer is in the name: with a tag, Prefect would ask its server for a slot before every task,
            # which took a quarter of a small run.
            name=f"{name.partition(' ')[0]} {layer}",
            task_run_name=name,
            retries=self._settings.retries,
            retry_delay_seconds=self._settings.retry_delay_s,
            retry_condition_fn=_rerun_can_help,
            timeout_seconds=self._settings.task_timeout_s,
            persist_result=False,
        )
        def carry_out() -> Result:
            return run_plainly(name, layer, step)

        began = time.monotonic()
        result = carry_out()
        self.timings.append({"step": name, "layer": str(layer), "seconds": round(time.monotonic() - began, 3)})
        return result


def _rerun_can_help(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    return error.retryable if isinstance(error, LakehouseError) else isinstance(error, OSError)
