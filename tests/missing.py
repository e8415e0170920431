"""What a test does without a program that it starts."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip for whoever ran pytest by hand; fail in CI, where `./lakehouse test` installs it and nobody sees a skip."""
    words = f"{what} is not installed; ./lakehouse test installs it"
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)
