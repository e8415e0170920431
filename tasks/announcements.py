"""What a run announces of its layers: new versions, shut gates, quarantined rows. Who listens is the flow's choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lake.candidate import Candidate, Run
from lake.checks import GateResult
from lake.publish import Published
from lake.table import Layer


class Announcer(Protocol):
    """Is told what became of a layer."""

    def gate_shut(self, run: Run, layer: Layer, gates: Mapping[str, GateResult]) -> None:
        """Nothing of the layer was published; `gates` by table, those that opened too."""

    def released(
        self, run: Run, layer: Layer, published: Sequence[Published], candidates: Mapping[str, Candidate]
    ) -> None:
        """All gates opened; `published` has the tables' versions, unchanged ones too, `candidates` the new rows."""


class Nobody:
    """Listens outside Prefect, where the command line says it all."""

    def gate_shut(self, run: Run, layer: Layer, gates: Mapping[str, GateResult]) -> None: ...

    def released(
        self, run: Run, layer: Layer, published: Sequence[Published], candidates: Mapping[str, Candidate]
    ) -> None: ...
