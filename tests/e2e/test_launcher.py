"""The launcher: installs once, again when the lock changes, and stops with the one command to type."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.notebook import debian_packages
from tests.e2e.conftest import PROJECT

pytestmark = pytest.mark.e2e
TOOLS = ("sh", "dirname", "cmp", "cp", "cat", "id", "mkdir", "sed", "head", "readlink", "env", "tr")
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
    (tmp_path / "notebooks").mkdir()
    shutil.copy(PROJECT / "notebooks" / "packages.txt", tmp_path / "notebooks")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    return tmp_path


@pytest.fixture
def with_python(checkout: Path) -> Path:
    """The same with a Python that records."""
    program(checkout, "python3", RECORDING_PYTHON)
    return checkout


def program(checkout: Path, name: str, script: str) -> None:
    path = checkout / "bin" / name
    # A link would be written through.
    path.unlink(missing_ok=True)
    path.write_text(script)
    path.chmod(0o755)


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


def test_without_r_and_apt_it_says_what_to_type(with_python: Path) -> None:
    done = launch(with_python, "notebook")
    assert done.returncode == 8
    assert f"sudo apt-get install {' '.join(debian_packages())}" in done.stderr


def test_help_of_the_notebook_needs_no_r(with_python: Path) -> None:
    assert launch(with_python, "notebook", "--help").returncode == 0


def test_it_installs_no_r_where_all_is_there(with_python: Path) -> None:
    program(with_python, "Rscript", "#!/bin/sh\nexit 0\n")
    program(with_python, "pandoc", "#!/bin/sh\nexit 0\n")
    program(with_python, "apt-get", '#!/bin/sh\necho "apt-get $*" >> "$RECORD"\n')
    assert launch(with_python, "notebook").returncode == 0
    record = (with_python / "record").read_text()
    assert "apt-get" not in record
    assert record.endswith("-m cli notebook\n")


def test_it_installs_the_notebooks_list_where_a_package_is_absent(with_python: Path) -> None:
    # Knows no ggplot2 until apt-get ran.
    program(with_python, "Rscript", '#!/bin/sh\n[ -e "$RECORD.installed" ] || printf ggplot2\n')
    program(with_python, "pandoc", "#!/bin/sh\nexit 0\n")
    program(
        with_python,
        "apt-get",
        '#!/bin/sh\necho "apt-get $*" >> "$RECORD"\ncase "$1" in install) : > "$RECORD.installed" ;; esac\n',
    )
    program(with_python, "id", "#!/bin/sh\necho 0\n")
    done = launch(with_python, "notebook")
    assert done.returncode == 0, done.stderr
    assert " ".join(debian_packages()) in (with_python / "record").read_text()


def test_what_tests_start_is_named_where_it_is_absent_and_cannot_be_installed(with_python: Path) -> None:
    program(with_python, "java", "#!/bin/sh\necho 'openjdk version \"17.0.1\"' >&2\n")
    for tool in ("Rscript", "pandoc", "npm"):
        program(with_python, tool, "#!/bin/sh\nexit 0\n")
    done = launch(with_python, "test")
    assert done.returncode == 8
    assert "sudo apt-get install chromium postgresql" in done.stderr
    program(with_python, "chromium", "#!/bin/sh\n")
    program(with_python, "initdb", "#!/bin/sh\n")
    assert launch(with_python, "test").returncode == 0


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
