"""A service on a lake of hand-made rows, for tests of what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import FastAPI

from api.main import create_app
from api.security.key_file import create_key
from api.security.keys import Scope
from lake.candidate import SaveMode
from lake.gated import EXEMPT, GateRecord, is_exempt
from lake.lake import Lake
from lake.publish import commit
from lake.settings import Settings
from lake.table import Table

AT = datetime(2026, 1, 1, tzinfo=UTC)
LOOPBACK = "127.0.0.1"


def settings_in(folder: Path, **api: Any) -> Settings:
    """Settings of a service whose files all lie in one folder."""
    return Settings.model_validate(
        {"lake": {"root": folder / "lake"}, "api": {"keys_file": folder / "keys.json", **api}}
    )


def lake_in(folder: Path) -> Lake:
    lake = Lake(folder / "lake")
    lake.prepare()
    return lake


@dataclass(frozen=True)
class Caller:
    """Asks a service in this process; its writer is not started.

    Args:
        app: The service.
        headers: Sent with every request.
        address: Where the caller seems to be.
        base_url: How it calls the service.
    """

    app: FastAPI
    headers: Mapping[str, str] = field(default_factory=dict)
    address: str = LOOPBACK
    base_url: str = "http://127.0.0.1"

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(self.address, 50_000))
            async with httpx.AsyncClient(transport=transport, base_url=self.base_url, headers=self.headers) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)


def bearer(app: FastAPI, key: str) -> Caller:
    """A caller with a key."""
    return Caller(app, {"Authorization": f"Bearer {key}"})


def reader(folder: Path, **api: Any) -> Caller:
    """A caller of a service in development mode."""
    return Caller(create_app(settings_in(folder, development=True, **api)))


def key_in(folder: Path, *scopes: Scope, name: str = "test", **options: Any) -> str:
    """A new key's text."""
    return create_key(folder / "keys.json", name, frozenset(scopes), AT, **options)[1]


def publish_rows(
    lake: Lake, table: Table, rows: Iterable[Mapping[str, Any]], mode: SaveMode = "append", run: str = "run-1"
) -> int:
    """Let rows into a table as a gate would; columns not named are NULL.

    Returns:
        The new version.
    """
    staging = lake.staging(run)
    staging.mkdir(parents=True, exist_ok=True)
    file = staging / f"{table.name}.parquet"
    whole = [{name: row.get(name) for name in table.column_names} for row in rows]
    pq.write_table(pa.Table.from_pylist(whole, schema=table.schema), file)
    record = GateRecord(run, EXEMPT if is_exempt(table) else "PASSED", batches=(f"{table.name}-{run}",))
    return commit(lake, table, (file,), mode, record)
