"""Models run on rows written down in the tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from lake.settings import PROJECT_ROOT, EngineName, EngineSettings, Settings, SnowflakeSettings
from lake.tables import table
from sql.engines.duckdb import DuckDBEngine
from sql.engines.engine import Engine, open_engine
from sql.model import Model, load_models
from sql.model_test import ModelTest

Rows = Sequence[Mapping[str, Any]]
Evaluate = Callable[..., list[dict[str, Any]]]
ENGINES = ("duckdb", "sqlite", "sail", pytest.param("spark", marks=pytest.mark.spark), "snowflake")


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


class Engines(dict[EngineName, Engine]):
    """Entered engines by name, each opened when it is first asked for; sessions take seconds to start."""

    def __init__(self, opened: ExitStack, scratch: Path) -> None:
        super().__init__()
        self._opened, self._scratch = opened, scratch

    def __missing__(self, name: EngineName) -> Engine:
        settings = Settings(engine=EngineSettings(threads=1))
        if name == "snowflake":
            settings = settings.model_copy(update={"snowflake": self._opened.enter_context(fake_snowflake())})
        self[name] = self._opened.enter_context(open_engine(name, settings, self._scratch / name))
        return self[name]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Engines that the tests of a file share: register what you read, as others leave their tables.

    Not longer: Spark is one for a process, and an open Connect session changes what other tests and programs start.
    """
    with ExitStack() as opened:
        yield Engines(opened, tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module", params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> EngineName:
    """Each engine's name in turn, for tests that all of them must pass."""
    name: EngineName = request.param
    return name


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the emulated Snowflake warn, and run one given/expect case of each model on Spark unless told otherwise."""
    if not config.getoption("--every-case-on-spark"):
        items[:] = _without_later_spark_cases(items)
    # Its threads live in this process, where a warning is an error.
    allowed = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result makes an extra copy:UserWarning")
    for item in items:
        if isinstance(item, pytest.Function) and "engines" in item.fixturenames:
            item.add_marker(allowed)


def _without_later_spark_cases(items: list[pytest.Item]) -> list[pytest.Item]:
    """Spark plans each SELECT for seconds, whatever its rows; Sail runs the same SQL on every case."""
    seen: set[str] = set()
    kept = []
    for item in items:
        values = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        case = values.get("case")
        if values.get("engine_name") == "spark" and isinstance(case, ModelTest):
            if case.model.name in seen:
                continue
            seen.add(case.model.name)
        kept.append(item)
    return kept


@contextmanager
def fake_snowflake() -> Iterator[SnowflakeSettings]:
    """An emulated Snowflake on loopback, and how to reach it."""
    import uvicorn
    from fakesnow.server import app

    with socket.create_server(("127.0.0.1", 0)) as listening:
        # asyncio does so only for sockets that name their protocol; without it every answer waits 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield SnowflakeSettings(
                account="fakesnow",
                user="fake",
                password=SecretStr("snow"),
                host="localhost",
                port=listening.getsockname()[1],
                protocol="http",
            )
        finally:
            server.should_exit = True
            thread.join()
