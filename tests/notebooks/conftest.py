"""A company large enough for statistics, and the R that reads it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli
from tests.missing import missing

# The configuration's own size: intervals narrow enough to tell an effect from none.
LARGE = {"LAKEHOUSE_GENERATE__SCALE": "1.0", "LAKEHOUSE_GENERATE__DAYS": "730"}


def make_exports(cli: Cli) -> Path:
    """Build a lake without Prefect, and export its marts."""
    for command in ("generate", "land", "build", "export"):
        cli(command)
    return cli.folder / "data" / "exports"


@pytest.fixture(scope="session")
def rscript() -> str:
    """The R that renders; a test environment without it is an error where nobody would see a skip."""
    found = shutil.which("Rscript")
    if found is None:
        missing("R")
    return found


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A company of the default size with its exports; for tests that only read it."""
    cli = Cli(tmp_path_factory.mktemp("company"), dict(LARGE))
    make_exports(cli)
    return cli
