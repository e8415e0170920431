"""Spark SQL over Delta tables: Apache Spark with delta-spark, or Sail, whichever session is given."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import pyarrow as pa
from deltalake import DeltaTable, Schema, convert_to_deltalake, write_deltalake

from lake.errors import ModelError, StorageError
from lake.table import Table
from sql.engines.engine import declared_types
from sql.translate import translate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class SparkEngine:
    """Delta tables of a Spark session, one for each registered one; a context manager.

    Args:
        opening: Opens the session.
        scratch: Directory for the tables; they do not outlive the engine.
    """

    def __init__(self, opening: AbstractContextManager[SparkSession], scratch: Path) -> None:
        self._opening, self._directory = opening, scratch.resolve() / "tables"
        # A path that is read once is not used again: sessions remember what lay there.
        self._numbers = count()
        self._session: SparkSession | None = None

    def __enter__(self) -> Self:
        self._session = self._opening.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None
        self._opening.__exit__(kind, error, trace)
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def session(self) -> SparkSession:
        assert self._session is not None, "the engine is entered"
        return self._session

    def register(self, table: Table, files: Sequence[Path]) -> None:
        """See Engine."""
        location = self._directory / f"{table.full_name}-{next(self._numbers)}"
        try:
            _delta_table(location, table, files)
        except OSError as error:
            raise StorageError(f"cannot write: {error.strerror or error}", where=str(location)) from error
        with _explained(table.full_name):
            self.session.sql(f"CREATE DATABASE IF NOT EXISTS {table.layer}")
            self.session.sql(f"DROP TABLE IF EXISTS {table.full_name}")
            self.session.sql(f"CREATE TABLE {table.full_name} USING DELTA LOCATION '{location}'")

    def run(self, select: str, schema: pa.Schema, where: str) -> pa.RecordBatchReader:
        """See Engine."""
        translated = translate(select, "spark", declared_types(), where=where)
        with _explained(where):
            rows = self.session.sql(translated.sql).toArrow()
        if rows.column_names != schema.names:
            raise ModelError(f"Spark yields other columns: {', '.join(rows.column_names)}", where=where)
        try:
            return rows.cast(schema).to_reader()
        except pa.ArrowInvalid as error:
            raise ModelError(f"Spark yields a value that is not of its declared type: {error}", where=where) from None


def _delta_table(location: Path, table: Table, files: Sequence[Path]) -> None:
    """The files as a Delta table of their own: linked where the disk allows, so that no row is written again."""
    location.mkdir(parents=True)
    if not files:
        write_deltalake(str(location), table.schema.empty_table())
        return
    for index, file in enumerate(files):
        target = location / f"{index:05d}.parquet"
        try:
            os.link(file, target)
        except OSError:
            shutil.copyfile(file, target)
    convert_to_deltalake(str(location))
    missing = set(table.column_names) - {field.name for field in DeltaTable(str(location)).schema().fields}
    if missing:
        # Files older than a column hold no place for it.
        fields = Schema.from_arrow(table.schema).fields
        DeltaTable(str(location)).alter.add_columns([field for field in fields if field.name in missing])


@contextmanager
def _explained(where: str) -> Iterator[None]:
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        raise ModelError(f"Spark: {str(error).splitlines()[0]}", where=where) from error
