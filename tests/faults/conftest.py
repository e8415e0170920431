"""Figures of fault tests: shown by pytest -s, and with a failure."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

Say = Callable[[str], None]


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """Prints a line of figures under the test's name."""
    return lambda line: print(f"{request.node.name}: {line}", file=sys.stdout)  # noqa: T201
