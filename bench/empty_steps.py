"""A run of steps that do nothing, for `lakehouse bench orchestration`: ``python -m bench.empty_steps HOW STEPS``.

HOW is plain (no Prefect), own (the server of one run) or standing (the server of PREFECT_API_URL).
"""

from __future__ import annotations

import sys

from lake.settings import FlowSettings
from tasks.workspace import StepRunner, run_plainly


def _take(steps: StepRunner, number: int) -> None:
    for index in range(number):
        steps(f"rest {index}", "bronze", lambda: None)


def main(how: str, number: int) -> None:
    """Take `number` steps."""
    if how == "plain":
        _take(run_plainly, number)
        return
    from tasks.prefect_server import PrefectServer

    with PrefectServer() as server:
        from prefect import flow

        from tasks.prefect_steps import PrefectSteps

        server.wait_until_healthy()
        flow(name="empty-steps", persist_result=False)(lambda: _take(PrefectSteps(FlowSettings(), number), number))()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
