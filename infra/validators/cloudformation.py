"""CloudFormation templates: cfn-lint with every rule, warnings and notes included, and sound containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cfnlint.decode
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

from infra.validators.containers import Container, container_problems

# Which instance classes and engine versions exist is asked for this region.
REGIONS = ["eu-central-1"]
_TASK_DEFINITION = "AWS::ECS::TaskDefinition"


def problems(path: Path) -> list[str]:
    """What is wrong with a template, a line each; empty when it is valid."""
    matches = lint_file(path, ManualArgs(regions=REGIONS, include_checks=["I"]))
    if matches:
        return [f"line {match.linenumber}: {match.rule.id} {match.message}" for match in matches]
    template, _ = cfnlint.decode.decode(str(path))
    found = list(_dangling_maps(template, template.get("Mappings", {})))
    return [*found, *(problem for container in containers(path) for problem in container_problems(container))]


def _dangling_maps(part: object, mappings: Mapping[str, Any]) -> Iterator[str]:
    """Mappings that are looked into and not there; cfn-lint lets those pass whose keys are references."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "Fn::FindInMap" and isinstance(value[0], str) and value[0] not in mappings:
                yield f"FindInMap looks into {value[0]}, which is not in Mappings"
            yield from _dangling_maps(value, mappings)
    elif isinstance(part, list):
        for value in part:
            yield from _dangling_maps(value, mappings)


def containers(path: Path) -> list[Container]:
    """Every container of every task definition."""
    template, _ = cfnlint.decode.decode(str(path))
    return [
        _container(f"{name}, container {container['Name']}", container)
        for name, resource in template["Resources"].items()
        if resource["Type"] == _TASK_DEFINITION
        for container in resource["Properties"]["ContainerDefinitions"]
    ]


def _container(name: str, container: Mapping[str, Any]) -> Container:
    values = {variable["Name"]: _known(variable["Value"]) for variable in container.get("Environment", ())}
    secrets = {secret["Name"]: None for secret in container.get("Secrets", ())}
    return Container(name, _known(container["Image"]), tuple(container.get("Command", ())), {**values, **secrets})


def _known(value: object) -> str | None:
    """The value where it is written out; None where the stack fills it in."""
    return str(value) if isinstance(value, str | int) else None
