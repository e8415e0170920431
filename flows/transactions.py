"""The transactions flow: feed, own files, HTTP → bronze → silver → anomalies → exports, each layer through its gate.

Runs by itself, against a server when PREFECT_API_URL is set, and as the deployment in prefect.yaml.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

from prefect import flow

from lake.configuration import load_settings
from lake.settings import DetectEngineName
from lake.table import Layer
from lake.tables import ANOMALIES, BRONZE_TRANSACTIONS, SILVER_TRANSACTIONS, TRANSACTIONS
from tasks.admit import admit_layer
from tasks.artifacts import RunSummary, show_evaluation, show_in_prefect
from tasks.detect import detect_layer
from tasks.evaluation import Evaluation, evaluate_generated
from tasks.export import export_marts
from tasks.feed import feed_layer
from tasks.layers import build_layer, land_layer
from tasks.prefect_announcer import PrefectAnnouncer
from tasks.prefect_runs import discard_candidates, run_name, writer_slot
from tasks.prefect_steps import PrefectSteps
from tasks.report import reported
from tasks.step_counts import TRANSACTIONS_STEPS
from tasks.workspace import new_run, writing


@flow(
    name="transactions",
    description=__doc__,
    flow_run_name=run_name,
    on_cancellation=[discard_candidates],
    on_crashed=[discard_candidates],
    persist_result=False,
)
def transactions(
    config: Path | None = None,
    at: datetime | None = None,
    count: int | None = None,
    engine: DetectEngineName | None = None,
) -> tuple[RunSummary, Evaluation | None]:
    """Bring transactions and their anomalies up to date.

    Args:
        config: Configuration file; the default one when absent.
        at: The run's time, with a zone; now when absent.
        count: Transactions to generate; transactions.count of the configuration when absent.
        engine: Who detects; detect.engine of the configuration when absent.

    Returns:
        What was done, and how well the rules find what was injected; None when nothing generated has landed.

    Raises:
        LakehouseError: See its subclasses; the last good versions stay readable.
    """
    settings = load_settings(config).with_transactions(count, engine)
    steps = PrefectSteps(settings.flow, TRANSACTIONS_STEPS)
    with (
        writer_slot(settings.flow.writer_wait_s),
        writing(settings, new_run(at), steps, PrefectAnnouncer(settings.lake.root)) as workspace,
        reported(workspace),
    ):
        fed = feed_layer(workspace)
        landed = land_layer(workspace, (BRONZE_TRANSACTIONS,))
        admitted = admit_layer(workspace, (BRONZE_TRANSACTIONS,))
        silver = build_layer(workspace, (SILVER_TRANSACTIONS,))
        gold = detect_layer(workspace)
        exports = workspace.step("export anomalies", Layer.GOLD, partial(export_marts, workspace, ANOMALIES))
        evaluation = evaluate_generated(workspace)
        show_evaluation(evaluation)
        summary = RunSummary.of(workspace, (fed, landed, admitted, silver, gold), exports, TRANSACTIONS)
        return show_in_prefect(summary, steps), evaluation
