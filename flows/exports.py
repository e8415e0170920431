"""The exports flow: the last gated gold as files, the quality report, and the mirror where one is set.

Changes no table, so it may run while another flow writes. A deployment of it can follow every publish of gold
(its trigger in prefect.yaml).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from prefect import flow

from lake.configuration import load_settings
from lake.table import Layer
from tasks.artifacts import show_exports, show_mirror
from tasks.export import export_marts
from tasks.mirror import mirror_tables
from tasks.prefect_runs import run_name
from tasks.prefect_steps import PrefectSteps
from tasks.report import write_quality_report
from tasks.step_counts import EXPORTS_STEPS
from tasks.workspace import Workspace, new_run


@flow(name="exports", description=__doc__, flow_run_name=run_name, persist_result=False)
def exports(config: Path | None = None) -> tuple[Path, ...]:
    """Write what readers outside the lake read.

    Args:
        config: Configuration file; the default one when absent.

    Returns:
        The exported files.

    Raises:
        LakehouseError: See its subclasses; earlier exports stay whole.
    """
    settings = load_settings(config)
    steps = PrefectSteps(settings.flow, EXPORTS_STEPS)
    workspace = Workspace(settings, new_run(), steps)
    files = steps("export marts", Layer.GOLD, partial(export_marts, workspace))
    steps("write quality report", "audit", partial(write_quality_report, workspace))
    mirrored = steps("mirror", Layer.GOLD, partial(mirror_tables, workspace))
    show_exports(files)
    show_mirror(mirrored)
    return files
