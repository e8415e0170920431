"""Another engine than the run's own DuckDB runs the models; gates, quarantine and publishing stay the same.

DuckDB is the host: it splits published rows from duplicates and rejected ones, whoever computed them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import StorageError
from lake.gated import last_gated
from lake.settings import EngineName
from lake.table import TEXT, Layer
from lake.tables import COMPANY
from lake.tables import table as declared
from sql.engines.engine import WAREHOUSE, Engine, open_engine
from sql.model import BROKEN_RULES, Model
from tasks.workspace import Workspace


class GuestEngine:
    """An entered engine, and what it has been given so far.

    Args:
        name: Which it is.
        engine: Entered by whoever owns it.
        staging: Where its rows are laid down for the host.
    """

    def __init__(self, name: EngineName, engine: Engine, staging: Path) -> None:
        self.name, self._engine, self._staging = name, engine, staging
        self._given: dict[str, tuple[Path, ...]] = {}

    @property
    def has_run(self) -> bool:
        return bool(self._given)

    def give(self, table: str, files: Sequence[Path]) -> None:
        """Register a table's files unless they are what the engine has."""
        wanted = tuple(files)
        if self._given.get(table) != wanted:
            self._engine.register(declared(table), wanted)
            self._given[table] = wanted

    def run(self, model: Model, sources: Mapping[str, Sequence[Path]]) -> Path:
        """Run a model over its sources.

        Returns:
            A Parquet file of all its rows, those that broke a rule included.

        Raises:
            ModelError: The model cannot be carried to the engine, or the engine refused it.
            StorageError: Disk full.
        """
        for name in sorted(model.depends_on):
            self.give(name, sources[name])
        schema = model_schema(model)
        target = self._staging / "models" / f"{model.name}.parquet"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with pq.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:
                for batch in self._engine.run(model.sql, schema, str(model.path)):
                    writer.write_batch(batch)
        except OSError as error:
            raise StorageError(f"cannot write: {error.strerror or error}", where=str(target)) from error
        return target


def model_schema(model: Model) -> pa.Schema:
    """Arrow schema of what a model yields."""
    schema = model.table.schema
    return schema.append(pa.field(BROKEN_RULES, TEXT)) if model.table.layer is Layer.SILVER else schema


@contextmanager
def guest_engine(workspace: Workspace) -> Iterator[GuestEngine | None]:
    """The engine that the settings name; None when that is DuckDB.

    Leaves, for SQLite, a warehouse file with every readable table once the block has ended well.

    Raises:
        MissingToolError, ConfigurationError: See open_engine.
    """
    name = workspace.settings.engine.name
    if name == "duckdb":
        yield None
        return
    with open_engine(name, workspace.settings, workspace.staging / name) as engine:
        guest = GuestEngine(name, engine, workspace.staging)
        yield guest
        if name == "sqlite":
            _keep_warehouse(workspace, guest, workspace.staging / name / WAREHOUSE)


def _keep_warehouse(workspace: Workspace, guest: GuestEngine, built: Path) -> None:
    target = workspace.settings.engine.sqlite_file
    if not guest.has_run and target.exists():
        return
    for table in COMPANY:
        gated = last_gated(workspace.lake, table)
        guest.give(table.full_name, gated.files if gated else ())
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(built, unfinished)
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise StorageError(f"cannot write: {error.strerror}", where=str(target), mend="mend the directory") from error
