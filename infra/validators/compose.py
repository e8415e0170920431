"""A Compose file: the specification's schema, names that exist, ports on loopback only, sound containers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.validators.containers import Container, container_problems
from infra.validators.yaml_file import BrokenYamlError, read_documents

# ${NAME:-default} counts as its default; anything else between braces is known only when it is deployed.
_DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")
_LOOPBACK = "127.0.0.1:"


def problems(path: Path) -> list[str]:
    """What is wrong with a Compose file, a line each; empty when it is valid."""
    try:
        (document,) = read_documents(path)
    except BrokenYamlError as error:
        return [str(error)]
    if against_schema := list(_schema_problems(path)):
        return against_schema
    found = [*_dangling(document), *_open_ports(document)]
    return [*found, *(problem for container in containers(path) for problem in container_problems(container))]


def containers(path: Path) -> list[Container]:
    """Every service of a Compose file."""
    (document,) = read_documents(path)
    return [
        Container(
            name,
            _DEFAULT.sub(r"\1", service["image"]) if "image" in service else None,
            tuple(service.get("command", ())),
            {key: _known(value) for key, value in service.get("environment", {}).items()},
        )
        for name, service in document["services"].items()
    ]


def _known(value: object) -> str | None:
    text = _DEFAULT.sub(r"\1", str(value))
    return None if "${" in text else text


def _schema_problems(path: Path) -> Iterator[str]:
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "--output-format", "json"]
    done = subprocess.run([sys.executable, *command, str(path)], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        yield f"check-jsonschema: {(done.stderr or done.stdout).strip()}"
        return
    for error in [*report["errors"], *report["parse_errors"]]:
        best = error.get("best_match") or error
        yield f"{best.get('path', '$')}: {best['message']}"


def _dangling(document: Mapping[str, Any]) -> Iterator[str]:
    """Names of services and volumes that are used and not declared."""
    services, volumes = document["services"], document.get("volumes", {})
    for name, service in services.items():
        for other in service.get("depends_on", {}):
            if other not in services:
                yield f"{name}: depends on {other}, which is no service"
        for mount in service.get("volumes", ()):
            source = str(mount).partition(":")[0]
            if not source.startswith((".", "/", "~")) and source not in volumes:
                yield f"{name}: mounts {source}, which is no volume"


def _open_ports(document: Mapping[str, Any]) -> Iterator[str]:
    for name, service in document["services"].items():
        for port in service.get("ports", ()):
            if not str(port).startswith(_LOOPBACK):
                yield f"{name}: port {port} is open to other machines; write {_LOOPBACK}HOST_PORT:CONTAINER_PORT"
