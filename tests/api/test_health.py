"""Health: alive or ready, and no figures for strangers."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.main import create_app
from api.security.keys import Scope
from tests.api.front import Caller, bearer, key_in, lake_in, reader, settings_in


def test_alive_says_nothing_of_the_lake(tmp_path: Path) -> None:
    answer = reader(tmp_path).get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_without_a_writer_the_service_is_alive_and_not_ready(tmp_path: Path, path: str) -> None:
    lake_in(tmp_path)
    answer = reader(tmp_path).get(path)
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"lake": True, "disk": True, "keys": True, "writer": False, "queue": True}


def test_without_a_lake_the_service_is_not_ready(tmp_path: Path) -> None:
    answer = reader(tmp_path).get("/health/ready")
    assert (answer.status_code, answer.json()["checks"]["lake"]) == (503, False)


def test_a_disk_with_less_room_than_the_queue_is_not_ready(tmp_path: Path) -> None:
    lake_in(tmp_path)
    settings = settings_in(tmp_path, development=True)
    settings = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"queue_bytes": 64 * 1024**5})})
    answer = Caller(create_app(settings)).get("/health/ready")
    assert (answer.status_code, answer.json()["checks"]["disk"]) == (503, False)


def test_places_and_figures_are_for_key_holders(tmp_path: Path) -> None:
    lake_in(tmp_path)
    text = key_in(tmp_path, Scope.INGEST)
    app = create_app(settings_in(tmp_path))
    for stranger in (Caller(app), bearer(app, text[:-1] + "-"), Caller(app, {"X-API-Key": "nonsense"})):
        answer = stranger.get("/health")
        assert set(answer.json()) == {"status", "checks"}
        assert str(tmp_path) not in answer.text
    known = bearer(app, text).get("/health").json()
    assert known["figures"]["lake"] == str(tmp_path / "lake")
    assert known["figures"]["disk_free_bytes"] > 0
