"""Models run on rows written down in the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.settings import PROJECT_ROOT, EngineSettings
from lake.tables import table
from sql.engines.duckdb import DuckDBEngine
from sql.model import Model, load_models

Rows = Sequence[Mapping[str, Any]]
Evaluate = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def models() -> dict[str, Model]:
    return load_models(PROJECT_ROOT / "sql" / "models")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    with DuckDBEngine(EngineSettings(threads=1), tmp_path_factory.mktemp("spill")) as engine:
        yield engine


@pytest.fixture(scope="module")
def evaluate(models: dict[str, Model], engine: DuckDBEngine, tmp_path_factory: pytest.TempPathFactory) -> Evaluate:
    """Rows of a model; sources not given are empty, columns not given are NULL, ingest columns are filled in."""
    directory, numbers = tmp_path_factory.mktemp("sources"), count()

    def evaluate(name: str, sources: Mapping[str, Rows], order_by: str | None = None) -> list[dict[str, Any]]:
        model = models[name]
        assert sources.keys() <= model.depends_on, f"{name} reads {sorted(model.depends_on)}"
        for source in model.depends_on:
            files: list[Path] = []
            if given := sources.get(source):
                files = [directory / f"{next(numbers)}.parquet"]
                pq.write_table(_table(source, given), files[0])
            engine.register(table(source), files)
        keys = order_by or ", ".join(model.table.key)
        rows: list[dict[str, Any]] = engine.query(f"SELECT * FROM ({model.sql}\n) ORDER BY {keys}").to_pylist()
        return rows

    return evaluate


def _table(name: str, rows: Rows) -> pa.Table:
    ingest = {"_ingested_at": datetime(2026, 1, 1, tzinfo=UTC), "_source": "f.csv", "_batch_id": "b"}
    return pa.Table.from_pylist(
        [{**ingest, "_line": line, **row} for line, row in enumerate(rows, 1)], schema=table(name).schema
    )
