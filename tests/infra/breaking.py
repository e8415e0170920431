"""Copies of templates with one thing wrong in each, for the tests that a validator reports it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Change = Callable[[Any], None]


def broken_json(template: Path, change: Change, folder: Path) -> Path:
    """A copy of a JSON template after a change, under its own name."""
    content = json.loads(template.read_text())
    before = json.dumps(content)
    change(content)
    assert json.dumps(content) != before, "the change changes nothing"
    copy = folder / template.name
    copy.write_text(json.dumps(content))
    return copy


def broken_text(template: Path, old: str, new: str, folder: Path) -> Path:
    """A copy of a template with a text replaced wherever it stands."""
    content = template.read_text()
    assert old in content, f"{old!r} is not in {template.name}"
    copy = folder / template.name
    copy.write_text(content.replace(old, new))
    return copy
