"""Copies of templates that a test may break."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.validate import INFRA, problems

# Path below infra/, what to replace and by what; answers what the validator says of the changed copy.
Break = Callable[[str, str, str], list[str]]


@pytest.fixture
def broken(tmp_path: Path) -> Break:
    """Change one place of a copy of a template, and ask whoever judges the template itself."""

    def change(place: str, old: str, new: str) -> list[str]:
        root = tmp_path / "infra"
        shutil.copytree((INFRA / place).parent, (root / place).parent)
        copy = root / place
        text = copy.read_text(encoding="utf-8")
        assert old in text, f"{place} no longer holds {old!r}"
        copy.write_text(text.replace(old, new, 1), encoding="utf-8")
        return problems(copy, root)

    return change
