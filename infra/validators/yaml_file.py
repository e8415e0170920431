"""YAML of a template, with a sentence where it is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


class BrokenYamlError(Exception):
    """A file is no YAML; says where."""


def read_documents(path: Path) -> list[Any]:
    """All documents of a file.

    Raises:
        BrokenYamlError: It is no YAML.
    """
    try:
        return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise BrokenYamlError(f"{line}not valid YAML: {getattr(error, 'problem', None) or error}") from None
