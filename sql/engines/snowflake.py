"""Snowflake through its connector: files go up to a stage, COPY INTO loads them, rows come back as Arrow.

In tests the other end is fakesnow, an emulator that itself translates with SQLGlot; a real account takes the same road.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import pyarrow as pa

from lake.errors import ConfigurationError, LakehouseError, ModelError
from lake.settings import SnowflakeSettings
from lake.table import Table
from spark.session import require_packages
from sql.ddl import create_empty
from sql.engines.engine import declared_types
from sql.translate import translate

_STAGE = "LAKEHOUSE_LANDING"
_NETWORK_TIMEOUT_S = 300


class SnowflakeEngine:
    """Tables of one Snowflake database, a schema for each layer; a context manager.

    Args:
        settings: Account, user, and password or key file.

    Raises:
        ConfigurationError: One of these is missing.
        MissingToolError: The connector is not installed.
    """

    def __init__(self, settings: SnowflakeSettings) -> None:
        require_packages("snowflake-connector-python")
        missing = [name for name in ("account", "user") if getattr(settings, name) is None]
        if settings.password is None and settings.private_key_file is None:
            missing.append("password")
        if missing:
            raise ConfigurationError(
                f"Snowflake needs {', '.join(f'snowflake.{name}' for name in missing)}",
                where="section snowflake of the configuration",
                mend=f"set them there, or {', '.join(f'LAKEHOUSE_SNOWFLAKE__{name.upper()}' for name in missing)}",
            )
        self._settings = settings
        # Nobody else's files are loaded, should the stage outlive its session.
        self._session_folder = uuid4().hex
        self._numbers = count()
        self._connection: Any = None

    def __enter__(self) -> Self:
        import snowflake.connector

        chosen = self._settings
        arguments: dict[str, Any] = {
            "account": chosen.account,
            "user": chosen.user,
            "password": chosen.password.get_secret_value() if chosen.password else None,
            "private_key_file": str(chosen.private_key_file) if chosen.private_key_file else None,
            "role": chosen.role,
            "warehouse": chosen.warehouse,
            "host": chosen.host,
            "port": chosen.port,
            "protocol": chosen.protocol,
            "network_timeout": _NETWORK_TIMEOUT_S,
            # Moments come back in the session's zone.
            "session_parameters": {"TIMEZONE": "UTC", "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False},
        }
        with _explained(f"Snowflake account {chosen.account}"):
            self._connection = snowflake.connector.connect(**{k: v for k, v in arguments.items() if v is not None})
            self._execute(f"CREATE DATABASE IF NOT EXISTS {chosen.database}")
            self._execute(f"USE DATABASE {chosen.database}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def register(self, table: Table, files: Sequence[Path]) -> None:
        """See Engine."""
        folder = f"{self._session_folder}/{next(self._numbers)}"
        with _explained(table.full_name):
            self._execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
            self._execute(f"USE SCHEMA {table.layer}")
            self._execute(f"DROP TABLE IF EXISTS {table.full_name}")
            self._execute(create_empty(table.full_name, declared_types()[table.full_name], "snowflake"))
            if not files:
                return
            self._execute(f"CREATE TEMPORARY STAGE IF NOT EXISTS {_STAGE}")
            for index, file in enumerate(files):
                # Files of two folders may bear one name.
                target = f"@{_STAGE}/{folder}/{index}"
                self._execute(f"PUT 'file://{file.resolve()}' {target} AUTO_COMPRESS = FALSE")
            self._execute(
                f"COPY INTO {table.full_name} FROM @{_STAGE}/{folder} "
                "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
            )

    def run(self, select: str, schema: pa.Schema, where: str) -> pa.RecordBatchReader:
        """See Engine."""
        translated = translate(select, "snowflake", declared_types(), where=where)
        columns = ", ".join(_fetched(field) for field in schema)
        with _explained(where):
            fetched = self._execute(f"SELECT {columns} FROM (\n{translated.sql}\n)")
            rows = fetched.fetch_arrow_all(force_return_table=True)
        if len(rows.schema) != len(schema):
            raise ModelError(f"Snowflake yields {len(rows.schema)} columns, not {len(schema)}", where=where)
        try:
            return _as_declared(rows, schema).to_reader()
        except pa.ArrowInvalid as error:
            raise ModelError(
                f"Snowflake yields a value that is not of its declared type: {error}", where=where
            ) from None

    def _execute(self, statement: str) -> Any:
        return self._connection.cursor().execute(statement)


def _fetched(field: pa.Field) -> str:
    """A column as it travels: moments as microseconds, for Arrow's way of sending them ends in the year 2262."""
    if pa.types.is_timestamp(field.type):
        return f"DATE_PART(EPOCH_MICROSECOND, {field.name}) AS {field.name}"
    if pa.types.is_integer(field.type):
        # Some drivers send a sum's 38 digits as a double.
        return f"CAST({field.name} AS NUMBER(19, 0)) AS {field.name}"
    return str(field.name)


def _as_declared(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = []
    for column, field in zip(rows.columns, schema, strict=True):
        # Snowflake's whole numbers are decimals without places.
        whole = column.cast(pa.int64()) if pa.types.is_timestamp(field.type) else column
        columns.append(whole.cast(field.type))
    return pa.table(columns, schema=schema)


@contextmanager
def _explained(where: str) -> Iterator[None]:
    from snowflake.connector import errors

    try:
        yield
    except errors.ProgrammingError as error:
        raise ModelError(f"Snowflake: {str(error).splitlines()[0]}", where=where) from error
    except errors.Error as error:
        raise LakehouseError(
            f"Snowflake: {str(error).splitlines()[0]}", where=where, mend="check section snowflake of the configuration"
        ) from error
