"""New Prefect servers begin with a database that was migrated once; without one Prefect migrates its own."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lake.errors import LakehouseError
from tasks import prefect_database
from tasks.prefect_server import PrefectServer


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place that counts as an installation, with its database made."""
    place = tmp_path_factory.mktemp("installation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "prefix", str(place))
        # As of a user who keeps Prefect elsewhere.
        patch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", f"sqlite+aiosqlite:///{place}/users-own.db")
        prefect_database.make()
    assert not (place / "users-own.db").exists()
    return place


@pytest.fixture
def kept(installation: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "prefix", str(installation))
    return prefect_database.migrated()


def rows(database: Path) -> dict[str, int]:
    """Tables that hold rows."""
    with closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counted = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
    return {name: count for name, count in counted.items() if count}


def schema_changes(database: Path) -> int:
    """How often tables were made or altered (SQLite, PRAGMA schema_version)."""
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("PRAGMA schema_version").fetchone()[0])


def test_it_holds_tables_and_nobodys_rows(kept: Path) -> None:
    assert rows(kept) == {"alembic_version": 1}


def test_a_server_takes_it_as_its_own_and_migrates_nothing(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    database = tmp_path / "data/prefect" / prefect_database.NAME
    with PrefectServer(environment) as server:
        assert database.stat().st_size >= kept.stat().st_size
        server.wait_until_healthy()
    assert "alembic_version" in rows(database)
    assert schema_changes(database) == schema_changes(kept)


def test_a_database_that_is_there_stays(kept: Path, tmp_path: Path) -> None:
    (tmp_path / prefect_database.NAME).write_bytes(b"somebody's runs")
    prefect_database.begin(tmp_path)
    assert (tmp_path / prefect_database.NAME).read_bytes() == b"somebody's runs"


def test_it_is_made_once(kept: Path) -> None:
    before = kept.stat()
    prefect_database.make()
    assert kept.stat() == before


def test_without_one_prefect_migrates_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    prefect_database.begin(tmp_path / "home")
    assert list((tmp_path / "home").iterdir()) == []


def test_a_migration_that_fails_is_told_and_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "__main__.py").write_text("raise SystemExit('no such table: flow')")
    (tmp_path / "prefect" / "__init__.py").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(LakehouseError, match="did not migrate a new database: no such table: flow"):
        prefect_database.make()
    assert not prefect_database.migrated().exists()
