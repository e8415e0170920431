"""Verification sees what is there to see: a changed operator, a refusal, a failure; and equal is equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import sql.engines.sqlite as sqlite_engine
from lake.configuration import load_settings
from lake.errors import ModelError
from lake.settings import Settings
from lake.tables import MARTS, SILVER, table
from sql.compare import difference
from sql.engines.engine import declared_types, open_engine
from sql.engines.sqlite import SQLiteEngine
from sql.model import MODELS, Model, load_models
from sql.translate import Translated, translate
from tasks.guest_engine import model_schema
from tasks.verify import Fate, Files, edge_input, input_hash, prepare, row_key, verify

# An operator as it stands in compiled SQL, and another in its place.
MODELLED = (*SILVER, *MARTS)
MUTATIONS = (
    (" > ", " >= "), (" >= ", " > "), (" < ", " <= "), (" <= ", " < "), (" = ", " <> "), (" <> ", " = "),
    (" + ", " - "), (" - ", " + "), (" * ", " + "), (" AND ", " OR "), ("SUM(", "MAX("), ("MIN(", "MAX("),
    ("LEFT JOIN", "INNER JOIN"), ("UNION ALL", "UNION"),
)  # fmt: skip


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(None, {})


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return edge_input(tmp_path_factory.mktemp("edges"))


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return load_models(MODELS)


@pytest.fixture(scope="module")
def loaded(edges: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLiteEngine]:
    """SQLite with edge rows in every table."""
    with SQLiteEngine(tmp_path_factory.mktemp("mutants") / "warehouse.sqlite") as engine:
        for name, files in edges.items():
            engine.register(table(name), files)
        yield engine


def run(engine: SQLiteEngine, model: Model) -> pa.Table:
    return engine.run(model.sql, model_schema(model), str(model.path)).read_all()


def mutants(compiled: str) -> Iterator[tuple[str, str]]:
    """The compiled SELECT with one operator changed, for each kind of operator in it."""
    for operator, other in MUTATIONS:
        if operator in compiled:
            yield f"{operator} → {other}", compiled.replace(operator, other, 1)


def test_a_changed_operator_is_seen(
    loaded: SQLiteEngine, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, survived = 0, []
    for name, model in models.items():
        right, red = run(loaded, model), 0
        whole = translate(model.sql, "sqlite", declared_types())
        for mutation, changed in mutants(whole.sql):
            monkeypatch.setattr(sqlite_engine, "translate", lambda *_, sql=changed, **__: Translated(sql, ()))
            try:
                seen = difference(right, run(loaded, model), row_key(model)) is not None
            except ModelError:
                seen = True
            red += seen
            survived += [] if seen else [f"{name}: {mutation}"]
        monkeypatch.undo()
        assert red, f"no changed operator of {name} was seen"
        killed += red
    # What is left changes nothing on these rows: a comparison no row is on the edge of.
    assert killed / (killed + len(survived)) > 0.85, "\n".join(survived)


def test_equal_models_pass_and_duckdb_comes_first(settings: Settings, edges: Files, tmp_path: Path) -> None:
    verdicts = list(verify(settings, ["sqlite"], {"edge": edges}, tmp_path))
    assert {v.fate for v in verdicts} == {Fate.EQUAL}
    assert [v.engine for v in verdicts] == ["duckdb"] * len(MODELLED) + ["sqlite"] * len(MODELLED)
    hashes = {(v.model, v.engine): v.sha256 for v in verdicts}
    assert all(hashes[v.model, "sqlite"] == hashes[v.model, "duckdb"] for v in verdicts)


def test_refused_failed_and_different_are_told_apart(
    settings: Settings, edges: Files, models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = models["silver.plans"]

    def verdict_with(answer: Callable[..., Translated]) -> tuple[Fate, str]:
        monkeypatch.setattr(sqlite_engine, "translate", answer)
        *_, last = verify(settings, ["sqlite"], {"edge": edges}, tmp_path, [plans])
        return last.fate, last.detail

    def refuse(*_: Any, **__: Any) -> Translated:
        raise ModelError("X cannot be carried to sqlite", where="plans.sql:3")

    right = translate(plans.sql, "sqlite", declared_types()).sql
    assert verdict_with(refuse) == (Fate.REFUSED, "plans.sql:3: X cannot be carried to sqlite")
    assert verdict_with(lambda *_, **__: Translated("SELECT nonsense", ()))[0] is Fate.FAILED
    fate, detail = verdict_with(
        lambda *_, **__: Translated(right.replace("'plan_id_missing'", "'x'", 1) + " LIMIT 5", ())
    )
    assert (fate, detail) == (Fate.DIFFERENT, "300 and 5 rows")


def test_the_inputs_are_the_same_rows_every_time(settings: Settings, tmp_path: Path) -> None:
    first = prepare(["edge", "generated"], tmp_path / "first", settings)
    again = prepare(["edge", "generated"], tmp_path / "again", settings)
    assert {k: input_hash(v) for k, v in first.items()} == {k: input_hash(v) for k, v in again.items()}


def test_every_engine_gives_back_what_it_was_given(settings: Settings, edges: Files, tmp_path: Path) -> None:
    """Types survive the way in and out: every column of a wild bronze table, selected as it is."""
    for name in ("bronze.payments", "bronze.users", "bronze.support_tickets"):
        declared = table(name)
        select = f"select {', '.join(declared.column_names)} from {name}"
        results = []
        for engine_name in ("duckdb", "sqlite", "sail"):
            with open_engine(engine_name, settings, tmp_path / f"{name}-{engine_name}") as engine:
                engine.register(declared, edges[name])
                results.append(engine.run(select, declared.schema, name).read_all())
        for other in results[1:]:
            assert difference(results[0], other, ("_batch_id", "_line")) is None
