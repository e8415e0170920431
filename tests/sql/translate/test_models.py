"""Every model of the project is carried to every target; on SQLite its rows are compared on edge rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.settings import PROJECT_ROOT
from lake.tables import BRONZE, BY_NAME, GOLD, SILVER, table
from sql.edge_rows import edge_rows
from sql.engines.duckdb import duckdb_type
from sql.translate import TARGETS, translate
from tests.sql.translate.conftest import Comparison

MODELS = sorted((PROJECT_ROOT / "sql" / "models").glob("*/*.sql"))
SCHEMA = {t.full_name: {c.name: duckdb_type(c.type) for c in t.columns} for t in (*BRONZE, *SILVER, *GOLD)}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.parent.name}.{model.stem}")
def test_every_model_is_carried(model: Path, target: str) -> None:
    translated = translate(model.read_text(), target, SCHEMA, where=str(model))
    assert not translated.sql.rstrip().endswith(";")
    assert (target == "sqlite") or not translated.helpers


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.parent.name}.{model.stem}")
def test_rows_of_models_on_sqlite_are_those_of_duckdb(model: Path, same_rows: Comparison) -> None:
    name = f"{model.parent.name}.{model.stem}"
    reads = {full: edge_rows(table(full), 60) for full in BY_NAME if full in model.read_text() and full != name}
    same_rows(model.read_text(), reads, "sqlite", where=str(model))
