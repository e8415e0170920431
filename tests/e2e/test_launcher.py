"""The launcher: installs once, again when the lock changes, and stops with the one command to type."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import PROJECT

pytestmark = pytest.mark.e2e
TOOLS = ("sh", "dirname", "cmp", "cp", "cat", "id", "mkdir", "sed", "head", "readlink")
# Stands in for Python where only the launcher's own decisions are looked at: it logs how it was called.
RECORDING_PYTHON = """#!/bin/sh
echo "$@" >> "$RECORD"
case "$*" in
    *"-m venv"*) for last in "$@"; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The launcher with small locks in a folder of its own, and a PATH with nothing but a few tools."""
    shutil.copy(PROJECT / "lakehouse", tmp_path / "lakehouse")
    (tmp_path / "requirements").mkdir()
    for lock in ("run", "engines", "test"):
        (tmp_path / "requirements" / f"{lock}.lock").write_text(f"{lock} 1\n")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    return tmp_path


def launch(checkout: Path, *arguments: str, python: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(checkout / "bin"), "RECORD": str(checkout / "record")}
    if python:
        environment["PYTHON"] = python
    return subprocess.run(
        ["sh", str(checkout / "lakehouse"), *arguments], env=environment, capture_output=True, text=True, check=False
    )


def recorded(checkout: Path) -> str:
    record = checkout / "record"
    text = record.read_text() if record.exists() else ""
    record.unlink(missing_ok=True)
    return text


def test_without_python_it_says_what_to_type(checkout: Path) -> None:
    done = launch(checkout, "run")
    assert done.returncode == 8
    assert "Python 3.11" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_it_installs_once_and_again_when_the_lock_changed(checkout: Path) -> None:
    python = checkout / "python"
    python.write_text(RECORDING_PYTHON)
    python.chmod(0o755)
    assert launch(checkout, "tables", python=str(python)).returncode == 0
    first = recorded(checkout)
    assert "--require-hashes" in first
    assert "requirements/run.lock" in first
    assert first.endswith("-m cli tables\n")
    launch(checkout, "tables", python=str(python))
    assert "pip install" not in recorded(checkout)
    (checkout / "requirements" / "run.lock").write_text("run 2\n")
    launch(checkout, "tables", python=str(python))
    assert "pip install" in recorded(checkout)


def test_a_failed_install_is_tried_again(checkout: Path) -> None:
    python = checkout / "python"
    python.write_text(RECORDING_PYTHON + 'case "$*" in *"pip install"*) exit 1 ;; esac\n')
    python.chmod(0o755)
    for _ in range(2):
        assert launch(checkout, "run", python=str(python)).returncode == 8
        assert "pip install" in recorded(checkout)


@pytest.mark.parametrize(
    ("arguments", "lock"),
    [
        (["tables"], "run"),
        (["run", "--engine", "sqlite"], "run"),
        (["run", "--engine", "sail"], "engines"),
        (["build", "--engine=snowflake"], "engines"),
        (["sql", "verify"], "engines"),
        (["sql", "compile"], "run"),
        (["bench", "medallion"], "test"),
    ],
)
def test_it_installs_no_more_than_the_command_needs(checkout: Path, arguments: list[str], lock: str) -> None:
    python = checkout / "python"
    python.write_text(RECORDING_PYTHON)
    python.chmod(0o755)
    assert launch(checkout, *arguments, python=str(python)).returncode == 0
    assert f"requirements/{lock}.lock" in recorded(checkout)
    # What a larger lock holds is not installed again for a smaller one.
    launch(checkout, "tables", python=str(python))
    assert "pip install" not in recorded(checkout)


def test_it_is_posix_shell() -> None:
    text = (PROJECT / "lakehouse").read_text()
    assert text.startswith("#!/bin/sh\n")
    assert not [word for word in ("[[", "function ", "local ", "$'", "<(") if word in text]


def test_locks_carry_versions_and_hashes_but_no_addresses() -> None:
    for lock in ("run", "engines", "test"):
        text = (PROJECT / "requirements" / f"{lock}.lock").read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text


def test_each_lock_is_part_of_the_next() -> None:
    def pins(lock: str) -> set[str]:
        lines = (PROJECT / "requirements" / f"{lock}.lock").read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))}

    assert pins("run") <= pins("engines") <= pins("test")
