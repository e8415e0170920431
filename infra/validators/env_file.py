"""An example env file: exactly the names that compose.yaml asks for, and no secret in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

COMPOSE = "compose.yaml"
_ASKED_FOR = re.compile(r"\$\{(\w+)(:[-?])")
_SECRET = re.compile(r"PASSWORD|KEY|SECRET|TOKEN|AUTH")


def problems(path: Path) -> list[str]:
    """What is wrong with an env file, a line each; empty when it is valid."""
    values: dict[str, str] = {}
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        name, equals, value = line.partition("=")
        if not line or line.startswith("#"):
            continue
        if not equals or not name.isidentifier():
            found.append(f"line {number}: not NAME=value: {line}")
        values[name] = value
    asked = dict(_ASKED_FOR.findall(path.with_name(COMPOSE).read_text(encoding="utf-8")))
    return [*found, *_differences(values, asked)]


def _differences(values: dict[str, str], asked: dict[str, str]) -> Iterator[str]:
    for name in sorted(asked.keys() - values.keys()):
        yield f"{name} is missing; {COMPOSE} asks for it"
    for name in sorted(values.keys() - asked.keys()):
        yield f"{name} is asked for by nothing in {COMPOSE}"
    for name, value in values.items():
        if value and _SECRET.search(name):
            yield f"{name} has a value; whoever copies this file would share it"
