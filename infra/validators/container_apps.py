"""Container Apps and their jobs: settings that exist, secrets, volumes and mounts that belong together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.validators.arm_references import is_expression
from infra.validators.containers import Container, container_problems


def container_app_problems(properties: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the properties of an app or a job, a line each.

    Args:
        properties: Of the shape that Microsoft's model asks for.
    """
    template = properties.get("template", {})
    secrets = {secret["name"] for secret in properties.get("configuration", {}).get("secrets", [])}
    volumes = {volume["name"] for volume in template.get("volumes", [])}
    mounted, used = set(), set()
    for described in [*template.get("initContainers", []), *template.get("containers", [])]:
        name, variables = described["name"], described.get("env", [])
        environment = {v["name"]: None if is_expression(v.get("value")) else v.get("value") for v in variables}
        image = None if is_expression(described["image"]) else described["image"]
        yield from container_problems(Container(name, image, tuple(described.get("command", [])), environment))
        used |= {v["secretRef"] for v in variables if "secretRef" in v}
        mounted |= {mount["volumeName"] for mount in described.get("volumeMounts", [])}
    yield from (f"secret {name!r} is not declared" for name in sorted(used - secrets))
    yield from (f"secret {name!r} is declared and never used" for name in sorted(secrets - used))
    yield from (f"volume {name!r} is not declared" for name in sorted(mounted - volumes))
    yield from (f"volume {name!r} is declared and never mounted" for name in sorted(volumes - mounted))
