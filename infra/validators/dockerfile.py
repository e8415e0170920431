"""A Dockerfile: hadolint, an exact base, and a user that is not root at the end of every target."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from infra.validators.containers import is_exact

_HADOLINT = Path(sys.executable).with_name("hadolint")
_ARG = re.compile(r"^ARG (\w+)=(\S+)$", re.MULTILINE)
_STAGE = re.compile(r"^FROM (\S+)(?: AS (\w[\w-]*))?$", re.MULTILINE)
_INSTRUCTION = re.compile(r"^(USER|HEALTHCHECK)\b *(.*)$", re.MULTILINE)
_NOBODY_ELSE = ("", "root", "0", "0:0", "root:root")


def problems(path: Path) -> list[str]:
    """What is wrong with a Dockerfile, a line each; empty when it is valid."""
    return [*_lint(path), *_own_rules(path.read_text(encoding="utf-8"))]


def _lint(path: Path) -> Iterator[str]:
    done = subprocess.run(
        [str(_HADOLINT), "--no-color", "--format", "json", "--failure-threshold", "style", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        findings = json.loads(done.stdout)
    except json.JSONDecodeError:
        yield f"hadolint: {(done.stderr or done.stdout).strip()}"
        return
    for finding in findings:
        yield f"line {finding['line']}: {finding['code']} {finding['message']}"


def _own_rules(text: str) -> Iterator[str]:
    arguments = dict(_ARG.findall(text))
    stages = list(_STAGE.finditer(text))
    names = {stage[2] for stage in stages}
    built_on = {stage[1] for stage in stages}
    for stage, following in zip(stages, [*stages[1:], None], strict=True):
        base = re.sub(r"\$\{(\w+)\}", lambda match: arguments.get(match[1], ""), stage[1])
        if base not in names and not is_exact(base):
            yield f"FROM {stage[1]}: names no exact version; write name:1.2.3"
        body = text[stage.end() : following.start() if following else len(text)]
        if "CMD" in body and stage[2] not in built_on:
            yield from _target_problems(stage[2], dict(_INSTRUCTION.findall(body)))


def _target_problems(name: str, instructions: dict[str, str]) -> Iterator[str]:
    if instructions.get("USER", "") in _NOBODY_ELSE:
        yield f"target {name}: runs as root; end it with USER 10001:10001"
    if "HEALTHCHECK" not in instructions:
        yield f"target {name}: has no HEALTHCHECK"
