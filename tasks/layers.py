"""Layers of the medallion: every table becomes a candidate, every gate opens, then all are published.

A layer whose gates do not all open publishes nothing; what was checked is recorded either way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lake.candidate import Candidate
from lake.checks import GateResult
from lake.errors import GateError
from lake.gated import GatedVersion, last_gated
from lake.publish import Published, has_landed, publish
from lake.table import Layer, Table
from lake.tables import BRONZE
from lake.tables import table as declared
from sql.model import MODELS, Model, fingerprint, load_models, order
from tasks.audit import record_layer
from tasks.contracts import contract_hash, mentioned_tables
from tasks.gate import check_candidate, check_quarantined_share
from tasks.guest_engine import GuestEngine
from tasks.landing import land, pending_files
from tasks.transform import transform
from tasks.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Built:
    """A table as this run sees it before publishing.

    Args:
        table: Full name.
        files: Parquet files of its rows: the candidate's with, for bronze, those already published.
        identity: What the rows depend on: a version for bronze, a fingerprint for silver and gold.
        candidate: Rows to check and publish; None when the table is up to date.
    """

    table: str
    files: tuple[Path, ...]
    identity: str
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True)
class LayerResult:
    """What a layer did in one run, by full table name."""

    layer: Layer
    published: tuple[Published, ...]
    candidates: dict[str, Candidate]
    gates: dict[str, GateResult] = field(default_factory=dict)


def land_layer(workspace: Workspace, tables: Sequence[Table] = BRONZE) -> LayerResult:
    """Land every new file of the inbox as bronze.

    Args:
        workspace: Holds the writer lock.
        tables: Whose folders of the inbox are looked into.

    Raises:
        GateError: A batch broke its contract; nothing landed.
        BadInputError, StorageError: See tasks.landing.
    """
    step = workspace.step
    built = [step(f"land {t.full_name}", Layer.BRONZE, partial(land_table, workspace, t)) for t in tables]
    return release_layer(workspace, Layer.BRONZE, built)


def land_table(workspace: Workspace, table: Table) -> Built:
    """New files of one table's inbox folder as a candidate."""
    lake, settings = workspace.lake, workspace.settings.land
    files = pending_files(settings.inbox, table, partial(has_landed, lake, table), limit=settings.max_files_per_run)
    gated = last_gated(lake, table)
    current = _current(table, gated)
    if not files:
        return current
    with workspace.engine() as engine:
        candidate = land(engine, table, files, workspace.staging, workspace.run, settings)
    return Built(table.full_name, candidate.files, current.identity, candidate)


def build_layer(workspace: Workspace, tables: Sequence[Table], guest: GuestEngine | None = None) -> LayerResult:
    """Run the models of tables whose inputs changed, check the candidates, publish them.

    Args:
        workspace: Holds the writer lock.
        tables: Of silver or of gold, with those of that layer they read.
        guest: Runs the models in DuckDB's place.

    Raises:
        ModelError: A model is wrong.
        GateError: A contract is broken; the last good versions stay.
    """
    layer = tables[0].layer
    models = {m.name: m for m in order(load_models(MODELS)) if m.table in tables}
    built: dict[str, Built] = {}
    for model in models.values():
        build = partial(build_table, workspace, model, dict(built), guest)
        built[model.name] = workspace.step(f"build {model.name}", layer, build)
    return release_layer(workspace, layer, list(built.values()), {name: m.depends_on for name, m in models.items()})


def build_table(
    workspace: Workspace, model: Model, siblings: Mapping[str, Built], guest: GuestEngine | None = None
) -> Built:
    """One model's rows as a candidate, or what is published when nothing it depends on changed."""
    lake, table = workspace.lake, declared(model.name)
    sources = {
        name: siblings.get(name) or _current(declared(name), last_gated(lake, declared(name)))
        for name in sorted(model.depends_on)
    }
    identities = {name: source.identity for name, source in sources.items()}
    expected = fingerprint(model, identities, guest.name if guest else "duckdb")
    gated = last_gated(lake, table)
    if (
        gated is not None
        and gated.record.fingerprint == expected
        and gated.record.contract_hash == contract_hash(table)
    ):
        return _current(table, gated)
    files = {name: source.files for name, source in sources.items()}
    with workspace.engine() as engine:
        candidate = transform(engine, model, files, workspace.staging, workspace.run, expected, guest=guest)
    return Built(table.full_name, candidate.files, expected, candidate)


def _current(table: Table, gated: GatedVersion | None) -> Built:
    if gated is None:
        return Built(table.full_name, (), "never")
    identity = f"v{gated.version}" if table.layer is Layer.BRONZE else gated.record.fingerprint
    return Built(table.full_name, gated.files, identity)


def release_layer(
    workspace: Workspace, layer: Layer, built: Sequence[Built], depends_on: Mapping[str, Collection[str]] | None = None
) -> LayerResult:
    """Check every candidate of a layer, record what came out, and publish when every gate opens.

    Args:
        workspace: Holds the writer lock.
        layer: Bronze, silver or gold.
        built: The layer's tables, parents first; references are checked against them.
        depends_on: Tables that each table is computed from, which its commit names; none for bronze.

    Raises:
        GateError: A gate stays shut; nothing was published.
    """
    siblings = {b.table: b for b in built}
    candidates = {b.table: b.candidate for b in built if b.candidate is not None}
    gates = {
        name: workspace.step(f"check {name}", layer, partial(check_table, workspace, candidate, siblings))
        for name, candidate in candidates.items()
    }
    record_layer(workspace, layer, candidates, gates)
    problems = [problem for gate in gates.values() for problem in gate.problems]
    if problems:
        workspace.announce.gate_shut(workspace.run, layer, gates)
        raise GateError(
            f"the {layer} gate is shut: " + "; ".join(problems),
            where=", ".join(name for name, gate in gates.items() if not gate.opens),
            mend="nothing of this layer was published, the last good version stays; details: ./lakehouse check --last",
        )
    release = partial(publish_layer, workspace, candidates, gates, depends_on or {})
    published = workspace.step(f"publish {layer}", layer, release) if candidates else ()
    workspace.announce.released(workspace.run, layer, published, candidates)
    return LayerResult(layer, published, candidates, gates)


def check_table(workspace: Workspace, candidate: Candidate, siblings: Mapping[str, Built]) -> GateResult:
    """A candidate's contract and quarantine share, with the layer's other tables as references."""
    table = declared(candidate.table)
    limits = workspace.settings.gates
    with workspace.engine() as engine:
        for name in mentioned_tables(table, siblings):
            engine.register(declared(name), siblings[name].files)
        engine.register(table, candidate.files)
        rows = engine.count(candidate.files)
        gate = check_candidate(engine, table, rows, workspace.run, sample_rows=limits.sample_rows)
    # A file may be malformed throughout and the others still land; a table may not lose its rows unnoticed.
    allowed = limits.max_quarantined_share if table.layer is Layer.SILVER else 1.0
    excess = check_quarantined_share(candidate.table, candidate.balance, allowed)
    unbalanced = None if candidate.balance.holds else f"{candidate.table}: rows do not balance: {candidate.balance}"
    problems = (*gate.problems, *(p for p in (excess, unbalanced) if p))
    return GateResult(gate.table, gate.contract_hash, gate.rows_tested, gate.checks, problems)


def publish_layer(
    workspace: Workspace,
    candidates: Mapping[str, Candidate],
    gates: Mapping[str, GateResult],
    depends_on: Mapping[str, Collection[str]],
) -> tuple[Published, ...]:
    """Publish a layer's candidates, parents first; each is one Delta commit."""
    lake = workspace.lake
    published = []
    for name, candidate in candidates.items():
        versions = {source: last_gated(lake, declared(source)) for source in sorted(depends_on.get(name, ()))}
        sources = {source: gated.version for source, gated in versions.items() if gated is not None}
        published.append(publish(lake, candidate, gates[name], workspace.run, sources))
    return tuple(published)
