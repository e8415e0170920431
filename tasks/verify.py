"""Verifying models: every one on every engine over the same rows, held against what DuckDB makes of them.

A model carried to another engine has three fates: equal, refused, or different without an error. Only the first passes.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot

from lake.errors import LakehouseError, ModelError
from lake.gated import last_gated
from lake.lake import Lake
from lake.settings import EngineName, GenerateSettings, Settings, TransactionSettings
from lake.table import Layer
from lake.tables import BRONZE, SILVER
from lake.tables import table as declared
from sql.compare import Difference, difference, result_hash
from sql.edge_rows import edge_rows
from sql.engines.engine import Engine, open_engine
from sql.model import MODELS, Model, load_models, order
from sql.model_check import DIALECT
from tasks.feed import feed_layer
from tasks.guest_engine import model_schema
from tasks.layers import build_layer, land_layer
from tasks.sources import generate_sources
from tasks.workspace import new_run, writing

# Two experiments, a few hundred members and every kind of dirt fit into it.
GENERATED = GenerateSettings(scale=0.05, days=400, dirt_share=0.05)
FED = TransactionSettings(count=2_000)
# Part of every row, so that the same rows come out on any day.
GENERATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
RECEIVED_KEY = ("_batch_id", "_line")

# Parquet files by full table name.
Files = Mapping[str, Sequence[Path]]
logger = logging.getLogger("lakehouse")


class Fate(StrEnum):
    """What became of a model on an engine."""

    EQUAL = "equal"
    DIFFERENT = "different"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One model on one engine over one input.

    Args:
        model: Full table name.
        engine: Who ran it.
        source: Name of the input.
        fate: What came out.
        rows: Rows it yielded.
        sha256: Hash of the columns that must be equal exactly; empty when there are no rows to hash.
        seconds: Time to run it, tables already registered.
        detail: Why it is not equal.
        difference: How it differs.
    """

    model: str
    engine: EngineName
    source: str
    fate: Fate
    rows: int
    sha256: str
    seconds: float
    detail: str = ""
    difference: Difference | None = None


def edge_input(directory: Path) -> Files:
    """Edge rows of every table that models read, as Parquet files."""
    files = {}
    for table in (*BRONZE, *SILVER):
        path = directory / f"{table.full_name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(edge_rows(table), path)
        files[table.full_name] = (path,)
    return files


def generated_input(directory: Path, settings: Settings) -> Files:
    """Bronze and silver of a small generated company and its feed, landed and built by DuckDB in a lake of its own."""
    places = {"lake": directory / "lake", "land": directory / "inbox"}
    own = settings.with_engine("duckdb").model_copy(
        update={
            "lake": settings.lake.model_copy(update={"root": places["lake"]}),
            "land": settings.land.model_copy(update={"inbox": places["land"]}),
            "generate": GENERATED,
            "transactions": FED,
        }
    )
    with writing(own, new_run(GENERATED_AT)) as workspace:
        generate_sources(workspace)
        feed_layer(workspace)
        land_layer(workspace)
        build_layer(workspace, SILVER)
    return lake_input(Lake(places["lake"]))


def lake_input(lake: Lake) -> Files:
    """The readable versions of a lake's bronze and silver tables."""
    gated = {table.full_name: last_gated(lake, table) for table in (*BRONZE, *SILVER)}
    return {name: version.files if version else () for name, version in gated.items()}


def prepare(sources: Sequence[str], scratch: Path, settings: Settings) -> dict[str, Files]:
    """Inputs by name: ``edge``, ``generated`` or ``lake``.

    Args:
        sources: Which.
        scratch: Directory for their files.
        settings: Where the lake lies, and limits.
    """
    makers: dict[str, Callable[[], Files]] = {
        "edge": lambda: edge_input(scratch / "edge"),
        "generated": lambda: generated_input(scratch / "generated", settings),
        "lake": lambda: lake_input(Lake(settings.lake.root)),
    }
    return {source: makers[source]() for source in sources}


def input_hash(files: Files) -> str:
    """SHA-256 over the rows of all tables, whatever files they lie in."""
    digest = hashlib.sha256()
    for name in sorted(files):
        schema = declared(name).schema
        rows = pa.concat_tables([schema.empty_table(), *(pq.read_table(f, schema=schema) for f in files[name])])
        digest.update(f"{name} {rows.num_rows} {result_hash(rows)}\n".encode())
    return digest.hexdigest()


def verify(
    settings: Settings,
    engines: Sequence[EngineName],
    inputs: Mapping[str, Files],
    scratch: Path,
    models: Iterable[Model] | None = None,
) -> Iterator[Verdict]:
    """Run models on engines and compare; a verdict as soon as it is known, DuckDB's own first.

    Args:
        settings: Limits and accounts.
        engines: Whom to hold against DuckDB.
        inputs: Files of every table by name of the input.
        scratch: Directory for what engines need.
        models: Which ones; all of the project when None.

    Raises:
        MissingToolError, ConfigurationError: An engine cannot be opened.
    """
    chosen = order(load_models(MODELS)) if models is None else list(models)
    references: dict[tuple[str, str], pa.Table] = {}
    names: list[EngineName] = ["duckdb", *(e for e in engines if e != "duckdb")]
    for name in names:
        with open_engine(name, settings, scratch / name) as engine:
            for source, files in inputs.items():
                for table in sorted({t for model in chosen for t in model.depends_on}):
                    engine.register(declared(table), files[table])
                for model in chosen:
                    verdict, rows = _one(engine, name, source, model)
                    if name == "duckdb" and rows is not None:
                        references[source, model.name] = rows
                    elif rows is not None:
                        verdict = _compared(verdict, references[source, model.name], rows, model)
                    logger.info("%s on %s (%s): %s", model.name, name, source, verdict.fate, extra={"step": model.name})
                    yield verdict


def _one(engine: Engine, name: EngineName, source: str, model: Model) -> tuple[Verdict, pa.Table | None]:
    began = time.monotonic()
    verdict = Verdict(model.name, name, source, Fate.EQUAL, 0, "", 0.0)
    try:
        rows = engine.run(model.sql, model_schema(model), str(model.path)).read_all()
    except LakehouseError as error:
        # The translation refuses before anything runs; what an engine itself refuses is a fault of the translation.
        fate = Fate.REFUSED if isinstance(error, ModelError) and "cannot be carried" in error.what else Fate.FAILED
        return replace(verdict, fate=fate, detail=str(error)), None
    seconds = round(time.monotonic() - began, 3)
    return replace(verdict, rows=rows.num_rows, sha256=result_hash(rows), seconds=seconds), rows


def _compared(verdict: Verdict, reference: pa.Table, rows: pa.Table, model: Model) -> Verdict:
    found = difference(reference, rows, row_key(model), ordered=is_ordered(model))
    if found is None:
        return verdict
    return replace(verdict, fate=Fate.DIFFERENT, detail=found.reason, difference=found)


def row_key(model: Model) -> tuple[str, ...]:
    """Columns that name a row of what a model yields; a silver model yields every row received."""
    return RECEIVED_KEY if model.table.layer is Layer.SILVER else model.table.key


def is_ordered(model: Model) -> bool:
    """Whether a model's rows have an order."""
    return sqlglot.parse_one(model.sql, read=DIALECT).args.get("order") is not None
