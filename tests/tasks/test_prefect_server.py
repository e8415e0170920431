"""The temporary Prefect server: there while the block lasts, gone with its parent, and never beside the user's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lake.errors import LakehouseError, StorageError
from lake.settings import PROJECT_ROOT
from tasks.prefect_server import ADDRESS_NAME, HOME, PrefectServer, require_server, standing_server
from tests.standing import answers


def environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")} | more


def test_it_answers_inside_the_block_and_is_gone_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = environment()
    with PrefectServer(seen) as server:
        address = seen["PREFECT_API_URL"]
        server.wait_until_healthy()
        assert answers(f"{address}/health")
    assert not answers(f"{address}/health")
    assert "PREFECT_API_URL" not in seen


def test_it_ends_with_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import os, time; from tasks.prefect_server import PrefectServer\n"
        "with PrefectServer() as server:\n"
        "    server.wait_until_healthy(); print(os.environ['PREFECT_API_URL'], flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment(PYTHONPATH=str(PROJECT_ROOT)),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with parent:
        assert parent.stdout is not None
        address = parent.stdout.readline().strip()
        assert answers(f"{address}/health")
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while answers(f"{address}/health") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not answers(f"{address}/health")


@pytest.mark.parametrize("name", ["PREFECT_PROFILE", "PREFECT_HOME"])
def test_the_users_choice_is_left_alone(name: str) -> None:
    seen = environment(**{name: "mine"})
    with PrefectServer(seen) as server:
        server.wait_until_healthy()
        assert seen == environment(**{name: "mine"})


def test_a_named_server_that_does_not_answer_is_named() -> None:
    named = PrefectServer(environment(PREFECT_API_URL="http://127.0.0.1:9/api"))
    with named as server, pytest.raises(LakehouseError, match="no Prefect server answers") as refused:
        server.wait_until_healthy()
    assert "127.0.0.1:9" in (refused.value.where or "")
    assert "./lakehouse up" in (refused.value.mend or "")


class OldServer(BaseHTTPRequestHandler):
    """A Prefect server of another version, as far as it is asked."""

    def do_GET(self) -> None:
        body = b'"2.20.1"' if self.path.endswith("/version") else b"true"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def old_server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), OldServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def test_a_server_of_another_version_is_refused_with_both_versions(old_server: str) -> None:
    with pytest.raises(LakehouseError, match=r"of version 2\.20\.1, installed here is 3"):
        require_server(environment(PREFECT_API_URL=old_server))


def test_a_standing_server_is_used_while_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old_server: str
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / HOME
    home.mkdir(parents=True)
    (home / ADDRESS_NAME).write_text(old_server)
    seen = environment()
    with PrefectServer(seen):
        assert seen["PREFECT_API_URL"] == old_server
    (home / ADDRESS_NAME).write_text("http://127.0.0.1:9/api")
    assert standing_server(home) is None


def test_without_any_server_up_is_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LakehouseError, match="no Prefect server runs here") as refused:
        require_server(environment())
    assert refused.value.mend == "./lakehouse up"


def test_a_damaged_database_is_named_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/prefect").mkdir(parents=True)
    (tmp_path / "data/prefect/prefect.db").write_bytes(b"not a database" * 1000)
    with PrefectServer(environment()) as server, pytest.raises(LakehouseError, match="did not start") as refused:
        server.wait_until_healthy()
    assert (refused.value.where or "").endswith("server.log")


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageError, match="Prefect's directory"), PrefectServer(environment()):
        pass
