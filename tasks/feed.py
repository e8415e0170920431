"""Generated transactions as a batch of bronze, and what was injected into them as a table of its own."""

from __future__ import annotations

from functools import partial

from lake.errors import BadInputError
from lake.gated import EXEMPT, GateRecord, last_gated
from lake.publish import commit, has_landed
from lake.table import Layer
from lake.tables import BRONZE_TRANSACTIONS
from lake.tables.anomalies import TRANSACTION_TRUTH
from tasks.layers import Built, LayerResult, release_layer
from tasks.sources import log_tenths
from tasks.transactions import batch_id, stage_transactions
from tasks.workspace import Workspace


def feed_layer(workspace: Workspace) -> LayerResult:
    """Land the generated transactions of the configuration, unless they have landed or are switched off.

    Raises:
        BadInputError: Other generated transactions are in the lake, whose ids these would repeat.
        ConfigurationError: The settings leave no room for what they ask to inject.
        StorageError: The disk is full; nothing was published.
    """
    settings, lake = workspace.settings.transactions, workspace.lake
    batch = batch_id(settings)
    if not settings.enabled or has_landed(lake, BRONZE_TRANSACTIONS, batch):
        return LayerResult(Layer.BRONZE, (), {})
    truth = last_gated(lake, TRANSACTION_TRUTH)
    if truth is not None and truth.record.batches != (batch,):
        raise BadInputError(
            "other generated transactions are in this lake already, and these would repeat their ids",
            where=str(lake.path(BRONZE_TRANSACTIONS)),
            mend="use their settings, another lake (LAKEHOUSE_LAKE__ROOT=...), or transactions.enabled: false",
        )
    built = workspace.step("generate transactions", Layer.BRONZE, partial(_feed, workspace, batch))
    return release_layer(workspace, Layer.BRONZE, [built])


def _feed(workspace: Workspace, batch: str) -> Built:
    """The rows as a candidate; their truth is published first, so that no readable row lacks it."""
    settings, lake, run = workspace.settings.transactions, workspace.lake, workspace.run
    candidate, truth_files = stage_transactions(settings, workspace.staging / "feed", run, log_tenths("transactions"))
    if not has_landed(lake, TRANSACTION_TRUTH, batch):
        record = GateRecord(run.run_id, EXEMPT, batches=(batch,))
        commit(lake, TRANSACTION_TRUTH, truth_files, "overwrite", record)
    return Built(BRONZE_TRANSACTIONS.full_name, candidate.files, batch, candidate)
