"""Announcements as Prefect events, which automations and deployments' triggers may expect, and as artifacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.events import emit_event

from lake.candidate import Candidate, Run
from lake.checks import GateResult
from lake.publish import Published
from lake.table import Layer
from tasks.artifacts import show_checks

LAYER_PUBLISHED = "lakehouse.layer.published"
GATE_FAILED = "lakehouse.layer.gate-failed"
ROWS_QUARANTINED = "lakehouse.layer.quarantined"


class PrefectAnnouncer:
    """Emits events of resource ``lakehouse.layer.<layer>``, label ``lakehouse.lake``; Prefect adds run and deployment.

    Args:
        root: The lake.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root.resolve())

    def gate_shut(self, run: Run, layer: Layer, gates: Mapping[str, GateResult]) -> None:
        """Event `GATE_FAILED` with every reason in words, and the layer's checks with failing rows as artifact."""
        show_checks(gates.values(), f"the {layer} gate is shut; nothing of the layer was published")
        problems = {name: [*gate.problems] for name, gate in gates.items() if gate.problems}
        self._emit(GATE_FAILED, run, layer, {"problems": problems})

    def released(
        self, run: Run, layer: Layer, published: Sequence[Published], candidates: Mapping[str, Candidate]
    ) -> None:
        """Event `ROWS_QUARANTINED` with rows by table, then `LAYER_PUBLISHED` with versions; none for nothing."""
        quarantined = {name: rows for name, c in candidates.items() if (rows := c.balance.quarantined)}
        if quarantined:
            self._emit(ROWS_QUARANTINED, run, layer, {"rows": quarantined})
        versions = {p.table: p.version for p in published if p.changed}
        if versions:
            self._emit(LAYER_PUBLISHED, run, layer, {"versions": versions})

    def _emit(self, event: str, run: Run, layer: Layer, payload: dict[str, Any]) -> None:
        resource = {
            "prefect.resource.id": f"lakehouse.layer.{layer}",
            "prefect.resource.name": str(layer),
            "lakehouse.lake": self._root,
        }
        emit_event(event, resource, payload={"run_id": run.run_id, **payload})
