"""`lakehouse bench sql`: compiling, and the gold build of every engine on the same rows, in one run."""

from __future__ import annotations

import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bench.medallion import EVENTS_AT_SCALE_ONE
from lake.configuration import load_settings
from lake.lake import Lake
from lake.settings import EngineName, GenerateSettings, Settings
from lake.table import Layer
from lake.tables import COMPANY_SILVER
from lake.tables import table as declared
from spark.java import find_java
from sql.compare import difference
from sql.compile import TARGETS
from sql.engines.engine import declared_types, open_engine
from sql.model import MODELS, Model, load_models, order
from sql.translate import translate
from tasks.guest_engine import model_schema
from tasks.layers import build_layer, land_layer
from tasks.sources import generate_sources
from tasks.verify import edge_input, lake_input, row_key, verify
from tasks.workspace import new_run, writing

COMPILED_MODELS = 100


def bench_sql(events: int | None = None) -> dict[str, Any]:
    """Measure at `events`, by default 500,000.

    Returns:
        `table`: a row per engine; `notes`: the other figures in words; `runs`: every figure.
    """
    settings = load_settings(None, {})
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        scratch = Path(folder)
        files = _silver(settings, scratch, (events or EVENTS_AT_SCALE_ONE) / EVENTS_AT_SCALE_ONE)
        models = [m for m in order(load_models(MODELS)) if m.table.layer is Layer.GOLD]
        runs: list[dict[str, Any]] = []
        reference: dict[str, Any] = {}
        for name in _engines():
            runs.append(_gold_build(name, settings, scratch / name, files, models, reference))
        notes = [_compile_note(), _verify_note(settings, scratch)]
    return {"table": [{k: str(v) for k, v in run.items()} for run in runs], "notes": notes, "runs": runs}


def _engines() -> list[EngineName]:
    engines: list[EngineName] = ["duckdb", "sqlite", "sail"]
    return [*engines, "spark"] if find_java() else engines


def _silver(settings: Settings, scratch: Path, scale: float) -> dict[str, tuple[Path, ...]]:
    places = {
        "lake": settings.lake.model_copy(update={"root": scratch / "lake"}),
        "land": settings.land.model_copy(update={"inbox": scratch / "inbox"}),
        "generate": GenerateSettings(scale=scale),
    }
    with writing(settings.model_copy(update=places), new_run()) as workspace:
        generate_sources(workspace)
        land_layer(workspace)
        build_layer(workspace, COMPANY_SILVER)
    return {name: tuple(found) for name, found in lake_input(Lake(scratch / "lake")).items()}


def _gold_build(
    name: EngineName,
    settings: Settings,
    scratch: Path,
    files: dict[str, tuple[Path, ...]],
    models: list[Model],
    reference: dict[str, Any],
) -> dict[str, Any]:
    began = time.monotonic()
    with open_engine(name, settings, scratch) as engine:
        opened = time.monotonic()
        for source in sorted({s for model in models for s in model.depends_on}):
            engine.register(declared(source), files[source])
        registered = time.monotonic()
        rows = {m.name: engine.run(m.sql, model_schema(m), str(m.path)).read_all() for m in models}
        built = time.monotonic()
    equal = sum(
        difference(reference.setdefault(m.name, rows[m.name]), rows[m.name], row_key(m)) is None for m in models
    )
    return {
        "engine": name,
        "start_s": round(opened - began, 2),
        "load_s": round(registered - opened, 2),
        "gold_s": round(built - registered, 2),
        "marts_equal": f"{equal} of {len(models)}",
    }


def _compile_note() -> str:
    models, types = order(load_models(MODELS)), declared_types()
    seconds = {}
    for target in TARGETS:
        began = time.monotonic()
        for model in islice(cycle(models), COMPILED_MODELS):
            translate(model.sql, target, types, where=str(model.path))
        seconds[target] = time.monotonic() - began
    return f"{COMPILED_MODELS} models compiled: " + ", ".join(f"{k} {v:.1f} s" for k, v in seconds.items())


def _verify_note(settings: Settings, scratch: Path) -> str:
    began = time.monotonic()
    verdicts = list(verify(settings, ["sqlite", "sail"], {"edge": edge_input(scratch / "edge")}, scratch / "verify"))
    seconds = time.monotonic() - began
    equal = sum(v.fate == "equal" for v in verdicts)
    return f"verified on edge rows: {equal} of {len(verdicts)} results equal (DuckDB, SQLite, Sail) in {seconds:.1f} s"
