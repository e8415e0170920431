"""The product from outside: the launcher's Python runs `-m cli` in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.ports import free_port, is_listening
from tests.standing import answers, standing

PROJECT = Path(__file__).resolve().parents[2]
RUN_TIMEOUT_S = 240


@dataclass
class Cli:
    """The command line in one folder.

    Args:
        folder: Working directory; lake, inbox and exports lie under ``data`` in it.
        settings: Environment overrides for every command.
        summary: What the run that built the lake said, where a fixture built it.
    """

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *arguments: str, code: int = 0, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command and require its exit code."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.environment(**settings), capture_output=True, text=True,
            timeout=RUN_TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"exit {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done

    def json(self, *arguments: str, **settings: str) -> Any:
        return json.loads(self(*arguments, "--json", code=0, **settings).stdout)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cli", *arguments]

    def environment(self, **settings: str) -> dict[str, str]:
        foreign = ("LAKEHOUSE_", "PREFECT_", "PROMETHEUS_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        return {**kept, "PYTHONPATH": str(PROJECT), **self.settings, **settings}

    @contextmanager
    def serving(self, *options: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
        """The address of a service that is ready, and its supervisor; ended by SIGTERM."""
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        with standing(
            self.command("serve", "--port", str(port), *options), self.folder / "serve.log",
            lambda: answers(f"{base}/health/ready"), cwd=self.folder, env=self.environment(),
        ) as process:  # fmt: skip
            yield base, process

    def drop(self, table: str, name: str, content: str | bytes) -> Path:
        """Put a file into a table's inbox folder."""
        path = self.folder / "data" / "inbox" / table / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


SMALL = {"LAKEHOUSE_GENERATE__SCALE": "0.02", "LAKEHOUSE_GENERATE__DAYS": "400"}
EMPTY = {"LAKEHOUSE_GENERATE__ENABLED": "false"}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A small lake built once by `lakehouse run`, for tests that only read it."""
    cli = Cli(tmp_path_factory.mktemp("built"), dict(SMALL))
    cli.summary = cli.json("run")
    return cli


@pytest.fixture
def empty(tmp_path: Path) -> Cli:
    """A folder without a lake, nothing generated."""
    return Cli(tmp_path, dict(EMPTY))


@pytest.fixture
def small(tmp_path: Path) -> Cli:
    """A folder without a lake; a small company would be generated."""
    return Cli(tmp_path, dict(SMALL))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Settings of a Snowflake emulator on loopback."""
    port, log = free_port(), tmp_path_factory.mktemp("fakesnow") / "server.log"
    command = [sys.executable, "-m", "uvicorn", "fakesnow.server:app", "--host", "127.0.0.1", "--port", str(port)]
    with standing(command, log, lambda: is_listening(port)):
        yield {
            "LAKEHOUSE_SNOWFLAKE__ACCOUNT": "fakesnow",
            "LAKEHOUSE_SNOWFLAKE__USER": "fake",
            "LAKEHOUSE_SNOWFLAKE__PASSWORD": "snow",
            "LAKEHOUSE_SNOWFLAKE__HOST": "localhost",
            "LAKEHOUSE_SNOWFLAKE__PORT": str(port),
            "LAKEHOUSE_SNOWFLAKE__PROTOCOL": "http",
        }
