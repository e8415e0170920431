"""Evaluating what a lake holds: its anomalies, the transactions they were judged on, and the truth about them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import orjson

from lake.errors import BadInputError
from lake.gated import GatedVersion, last_gated
from lake.lake import Lake
from lake.table import Layer
from lake.tables import SILVER_TRANSACTIONS
from lake.tables.anomalies import TRANSACTION_ANOMALIES, TRANSACTION_TRUTH
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.figures import Evaluation, to_dict
from tasks.evaluation.picture import draw
from tasks.export import whole_file
from tasks.workspace import Workspace

BOOTSTRAP_SEED = 42
REPLICATES = 1_000
FIGURES_NAME = "anomaly_evaluation.json"
PICTURE_NAME = "anomaly_evaluation.png"


def evaluate_lake(workspace: Workspace, truth: Path | None = None) -> Evaluation:
    """Hold the lake's anomalies against the truth, and write figures and a picture to the export directory.

    Args:
        workspace: Whose lake.
        truth: Parquet file of the truth; the lake's own table when absent.

    Raises:
        BadInputError: Nothing was detected yet, or nothing is known about what was injected.
        MissingToolError: matplotlib is not installed.
        StorageError: The export directory cannot be written.
    """
    anomalies = last_gated(workspace.lake, TRANSACTION_ANOMALIES)
    if anomalies is None:
        raise BadInputError(
            "there are no anomalies to evaluate",
            where=TRANSACTION_ANOMALIES.full_name,
            mend="./lakehouse transactions run",
        )
    judged = _judged(workspace.lake, anomalies)
    with workspace.engine() as engine:
        evaluation = evaluate(
            engine, anomalies.files, judged, _truth(workspace, truth), seed=BOOTSTRAP_SEED, replicates=REPLICATES
        )
    directory = workspace.settings.export.directory
    with whole_file(directory / FIGURES_NAME) as unfinished:
        unfinished.write_bytes(
            orjson.dumps(to_dict(evaluation), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
    draw(evaluation, directory / PICTURE_NAME)
    return evaluation


def evaluate_generated(workspace: Workspace) -> Evaluation | None:
    """The evaluation as a step of a flow; None where no generated transactions have landed."""
    if last_gated(workspace.lake, TRANSACTION_TRUTH) is None:
        return None
    return workspace.step("evaluate anomalies", Layer.GOLD, partial(evaluate_lake, workspace))


def _judged(lake: Lake, anomalies: GatedVersion) -> Sequence[Path]:
    """Files of the version of the transactions that the anomalies name as their source."""
    delta = lake.open(SILVER_TRANSACTIONS, anomalies.record.sources[SILVER_TRANSACTIONS.full_name])
    return [] if delta is None else [Path(uri) for uri in delta.file_uris()]


def _truth(workspace: Workspace, file: Path | None) -> Sequence[Path]:
    if file is not None:
        if not file.is_file():
            raise BadInputError("there is no such file", where=str(file), mend="name the truth beside the transactions")
        return [file]
    gated = last_gated(workspace.lake, TRANSACTION_TRUTH)
    return gated.files if gated is not None else []
