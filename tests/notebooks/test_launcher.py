"""The launcher and R: nothing is installed where all is there, and the line to type is told where nothing can be."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.notebook import debian_packages
from tests.e2e.conftest import PROJECT

pytestmark = pytest.mark.e2e
TOOLS = ("sh", "dirname", "cmp", "cp", "cat", "id", "mkdir", "sed", "env", "tr")
RECORDING_PYTHON = """#!/bin/sh
echo "$@" >> "$RECORD"
case "$*" in
    *"-m venv"*) for last in "$@"; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The launcher with small locks, and a path with nothing but a few tools and a Python that records."""
    shutil.copy(PROJECT / "lakehouse", tmp_path / "lakehouse")
    (tmp_path / "requirements").mkdir()
    for lock in ("run", "engines", "test"):
        (tmp_path / "requirements" / f"{lock}.lock").write_text(f"{lock} 1\n")
    (tmp_path / "notebooks").mkdir()
    shutil.copy(PROJECT / "notebooks" / "packages.txt", tmp_path / "notebooks")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    program(tmp_path, "python3", RECORDING_PYTHON)
    return tmp_path


def program(checkout: Path, name: str, script: str) -> None:
    path = checkout / "bin" / name
    # A link would be written through.
    path.unlink(missing_ok=True)
    path.write_text(script)
    path.chmod(0o755)


def launch(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(checkout / "bin"), "RECORD": str(checkout / "record")}
    command = ["sh", str(checkout / "lakehouse"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_without_r_and_apt_it_says_what_to_type(checkout: Path) -> None:
    done = launch(checkout, "notebook")
    assert done.returncode == 8
    assert f"sudo apt-get install {' '.join(debian_packages())}" in done.stderr


def test_help_needs_no_r(checkout: Path) -> None:
    assert launch(checkout, "notebook", "--help").returncode == 0


def test_it_installs_nothing_where_all_is_there(checkout: Path) -> None:
    program(checkout, "Rscript", "#!/bin/sh\nexit 0\n")
    program(checkout, "pandoc", "#!/bin/sh\nexit 0\n")
    program(checkout, "apt-get", '#!/bin/sh\necho "apt-get $*" >> "$RECORD"\n')
    assert launch(checkout, "notebook").returncode == 0
    record = (checkout / "record").read_text()
    assert "apt-get" not in record
    assert record.endswith("-m cli notebook\n")


def test_it_installs_the_list_where_a_package_is_absent(checkout: Path) -> None:
    # Knows no ggplot2 until apt-get ran.
    program(checkout, "Rscript", '#!/bin/sh\n[ -e "$RECORD.installed" ] || printf ggplot2\n')
    program(checkout, "pandoc", "#!/bin/sh\nexit 0\n")
    program(
        checkout,
        "apt-get",
        '#!/bin/sh\necho "apt-get $*" >> "$RECORD"\ncase "$1" in install) : > "$RECORD.installed" ;; esac\n',
    )
    program(checkout, "id", "#!/bin/sh\necho 0\n")
    done = launch(checkout, "notebook")
    assert done.returncode == 0, done.stderr
    assert " ".join(debian_packages()) in (checkout / "record").read_text()
