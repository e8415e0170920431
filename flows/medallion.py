"""The medallion flow: sources → bronze → silver → gold → exports, every layer through its gate.

Runs by itself on Prefect's ephemeral API, against a server when PREFECT_API_URL is set, and as the deployment in
prefect.yaml.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

from prefect import flow

from lake.configuration import load_settings
from lake.settings import EngineName
from lake.table import Layer
from lake.tables import COMPANY, COMPANY_BRONZE, COMPANY_SILVER, MARTS
from tasks.artifacts import RunSummary, show_in_prefect
from tasks.export import export_marts
from tasks.guest_engine import guest_engine
from tasks.layers import build_layer, land_layer
from tasks.prefect_announcer import PrefectAnnouncer
from tasks.prefect_runs import discard_candidates, run_name, writer_slot
from tasks.prefect_steps import PrefectSteps
from tasks.report import reported
from tasks.sources import generate_sources
from tasks.step_counts import MEDALLION_STEPS
from tasks.workspace import new_run, writing


@flow(
    name="medallion",
    description=__doc__,
    flow_run_name=run_name,
    on_cancellation=[discard_candidates],
    on_crashed=[discard_candidates],
    persist_result=False,
)
def medallion(config: Path | None = None, at: datetime | None = None, engine: EngineName | None = None) -> RunSummary:
    """Bring the lake up to date.

    Args:
        config: Configuration file; the default one when absent.
        at: The run's time, with a zone; now when absent.
        engine: Who runs the models; engine.name of the configuration when absent.

    Raises:
        LakehouseError: See its subclasses; the last good versions stay readable.
    """
    settings = load_settings(config).with_engine(engine)
    steps = PrefectSteps(settings.flow, MEDALLION_STEPS)
    with (
        writer_slot(settings.flow.writer_wait_s),
        writing(settings, new_run(at), steps, PrefectAnnouncer(settings.lake.root)) as workspace,
        reported(workspace),
        guest_engine(workspace) as guest,
    ):
        workspace.step("generate sources", "sources", partial(generate_sources, workspace))
        bronze = land_layer(workspace, COMPANY_BRONZE)
        silver = build_layer(workspace, COMPANY_SILVER, guest)
        gold = build_layer(workspace, MARTS, guest)
        exports = workspace.step("export marts", Layer.GOLD, partial(export_marts, workspace, MARTS))
        return show_in_prefect(RunSummary.of(workspace, (bronze, silver, gold), exports, COMPANY), steps)
