"""What a person sees of a run: a summary value, and its tables and links in the Prefect UI."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from prefect.artifacts import create_link_artifact, create_table_artifact

from lake.checks import GateResult, Outcome
from lake.table import Table
from tasks.check_words import in_short
from tasks.evaluation import Evaluation
from tasks.headlines import Headline, headlines
from tasks.inspect import TableSummary, table_summaries
from tasks.layers import LayerResult
from tasks.mirror import MirrorSummary
from tasks.prefect_steps import PrefectSteps
from tasks.workspace import Workspace


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run of a flow did.

    Args:
        run_id: The run.
        layers: What each layer did, bronze first.
        tables: Every table the flow builds, as readers now see it.
        exports: Files written.
        headlines: What the marts say.
    """

    run_id: str
    layers: tuple[LayerResult, ...]
    tables: tuple[TableSummary, ...]
    exports: tuple[Path, ...]
    headlines: tuple[Headline, ...]

    @classmethod
    def of(
        cls, workspace: Workspace, layers: Sequence[LayerResult], exports: Sequence[Path], tables: Sequence[Table]
    ) -> Self:
        """What a run did, and the readable versions of the tables its flow builds."""
        names = {table.full_name for table in tables}
        summaries = tuple(t for t in table_summaries(workspace.lake) if t.table in names)
        said = headlines(workspace, tables)
        return cls(workspace.run.run_id, tuple(layers), summaries, tuple(exports), said)


def show_evaluation(evaluation: Evaluation | None) -> None:
    """Attach what the rules found of what was injected; nothing when nothing was."""
    if evaluation is None:
        return
    create_table_artifact(
        key="anomaly-evaluation",
        description="Rules against the truth about generated transactions; 95 % intervals are in the exported figures",
        table=[
            {
                "rule": line.rule,
                "flagged": line.flagged,
                "injected": line.injected,
                "found": line.true_positives,
                "precision": line.precision.value,
                "recall": line.recall.value,
                "alerts_per_day": line.alerts_per_day.value,
                "value_weighted_recall": line.value_weighted_recall.value,
            }
            for line in evaluation.rules
        ],
    )


def show_checks(gates: Iterable[GateResult], description: str) -> None:
    """Attach every check with what it measured and some of the rows it refuses."""
    create_table_artifact(key="check-results", description=description, table=[*check_lines(gates)])


def check_lines(gates: Iterable[GateResult]) -> Iterator[dict[str, object]]:
    """A line a check; of each table those that did not pass first."""
    for gate in gates:
        for check in sorted(gate.checks, key=lambda c: c.outcome is Outcome.PASSED):
            yield {
                "table": gate.table,
                "check": check.name,
                "outcome": check.outcome.value,
                "measured": check.measured,
                "threshold": check.threshold,
                "failing rows": "; ".join(in_short(sample) for sample in check.samples),
            }


def _lineage(summary: RunSummary) -> Iterator[dict[str, object]]:
    """A line a table: its version, the versions it was computed from, the run that published it, its export."""
    exports = {path.stem: path.name for path in summary.exports}
    for line in summary.tables:
        yield {
            "table": line.table,
            "version": line.version,
            "computed from": ", ".join(f"{name} v{version}" for name, version in sorted(line.sources.items())),
            "published by run": line.run_id,
            "contract": (line.contract_hash or "")[:12],
            "export": exports.get(line.table.partition(".")[2], ""),
        }


def show_in_prefect(summary: RunSummary, steps: PrefectSteps) -> RunSummary:
    """Attach headlines, row counts, check outcomes, step times and export links to the current flow run."""
    create_table_artifact(
        key="step-times", description="Seconds each step took, Prefect's part included", table=steps.timings
    )
    create_table_artifact(
        key="headlines",
        description="What the marts say",
        table=[{"subject": h.subject, "value": h.value, "detail": h.detail} for h in summary.headlines],
    )
    create_table_artifact(
        key="row-counts",
        description=f"Tables after run {summary.run_id}",
        table=[
            {"table": t.table, "rows": t.rows, "version": t.version, "bytes": t.size_bytes, "gate": t.outcome}
            for t in summary.tables
        ],
    )
    create_table_artifact(
        key="row-balance",
        description="received = published + duplicates + quarantined",
        table=[
            {
                "table": name,
                "received": candidate.balance.received,
                "published": candidate.balance.published,
                "duplicates": candidate.balance.duplicates,
                "quarantined": candidate.balance.quarantined,
            }
            for layer in summary.layers
            for name, candidate in layer.candidates.items()
        ],
    )
    gates = [gate for layer in summary.layers for gate in layer.gates.values()]
    show_checks(gates, "Contract checks of this run, all gates open")
    create_table_artifact(
        key="lineage",
        description=f"Versions readers now read, and the versions each was computed from, after run {summary.run_id}",
        table=[*_lineage(summary)],
    )
    show_exports(summary.exports)
    steps.show_end()
    return summary


def show_exports(files: Iterable[Path]) -> None:
    """Attach a link to every exported file."""
    for path in files:
        create_link_artifact(
            key=f"export-{path.name.replace('_', '-').replace('.', '-')}",
            link=path.resolve().as_uri(),
            link_text=path.name,
        )


def show_mirror(summary: MirrorSummary | None) -> None:
    """Attach what was copied to the mirror; nothing when there is none."""
    if summary is not None:
        create_table_artifact(
            key="mirror",
            description=f"Copies at {summary.to}, and what this run added to them",
            table=[asdict(table) for table in summary.tables],
        )
