"""Steps as Prefect task runs: named by verb and layer, timed out, retried where a rerun can help, progress shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State, TaskRun

from lake.errors import LakehouseError
from lake.settings import FlowSettings
from tasks.workspace import Result, run_plainly

# Each showing is a call to the server.
_SHOW_EVERY_S = 2.0


class PrefectSteps:
    """Makes every step a task run of the current flow run, and remembers how long each took.

    Args:
        settings: Retries and time-out of each task.
        most_steps: The steps of a run in which everything is new; what the progress shown is a share of.
    """

    def __init__(self, settings: FlowSettings, most_steps: int) -> None:
        self._settings = settings
        self._most_steps = most_steps
        self._progress: UUID | None = None
        self._next_showing = time.monotonic() + _SHOW_EVERY_S
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

        self._show_progress(name)
        began = time.monotonic()
        result = carry_out()
        self.timings.append({"step": name, "layer": str(layer), "seconds": round(time.monotonic() - began, 3)})
        return result

    def show_end(self) -> None:
        """All steps are done; a run too short to show progress shows none."""
        if self._progress is not None:
            update_progress_artifact(self._progress, 100.0, "done")

    def _show_progress(self, name: str) -> None:
        if time.monotonic() < self._next_showing:
            return
        percent = min(100.0 * len(self.timings) / self._most_steps, 99.0)
        if self._progress is None:
            made = create_progress_artifact(percent, key="progress", description=name)
            assert isinstance(made, UUID)  # a coroutine only where an event loop runs
            self._progress = made
        else:
            update_progress_artifact(self._progress, percent, name)
        self._next_showing = time.monotonic() + _SHOW_EVERY_S


def _rerun_can_help(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    return error.retryable if isinstance(error, LakehouseError) else isinstance(error, OSError)
