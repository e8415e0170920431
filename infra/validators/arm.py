"""ARM templates: structure, every resource against Microsoft's SDK model of it, every expression and reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.validators.arm_models import BARE_RESOURCES, RESOURCE_MODELS
from infra.validators.arm_references import is_expression, reference_problems
from infra.validators.azure_models import model_problems
from infra.validators.container_apps import container_app_problems
from infra.validators.data_factory import pipeline_problems

# What Resource Manager itself reads of a resource; the rest is sent to the resource's provider.
_OF_MANAGER = {"type", "apiVersion", "name", "dependsOn", "scope", "condition", "comments"}
# What no model says: how the parts of a resource belong together.
_INNER_PROBLEMS: dict[str, Callable[[dict[str, Any]], Iterable[str]]] = {
    "Microsoft.App/containerApps": container_app_problems,
    "Microsoft.App/jobs": container_app_problems,
    "Microsoft.DataFactory/factories/pipelines": pipeline_problems,
}
Version = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}(-preview)?$")]
ValueType = Literal["string", "securestring", "int", "bool", "object", "secureObject", "array"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Parameter(_Part):
    type: ValueType
    defaultValue: Any = None  # noqa: N815 - ARM's names
    allowedValues: list[Any] | None = None  # noqa: N815
    minValue: int | None = None  # noqa: N815
    maxValue: int | None = None  # noqa: N815
    minLength: int | None = None  # noqa: N815
    maxLength: int | None = None  # noqa: N815
    metadata: dict[str, Any]


class _Resource(_Part):
    model_config = ConfigDict(extra="allow", strict=True)
    type: Annotated[str, Field(pattern=r"^[A-Za-z.]+(/[A-Za-z]+)+$")]
    apiVersion: Version  # noqa: N815
    name: str
    condition: bool | str = True
    dependsOn: list[str] = []  # noqa: N815


class _Output(_Part):
    type: ValueType
    value: Any
    metadata: dict[str, Any]


class _Template(_Part):
    schema_: Annotated[Literal["https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"],
                       Field(alias="$schema")]  # fmt: skip
    contentVersion: Annotated[str, Field(pattern=r"^\d+(\.\d+){3}$")]  # noqa: N815
    metadata: dict[str, Any] = {}
    parameters: dict[str, _Parameter] = {}
    variables: dict[str, Any] = {}
    resources: Annotated[list[_Resource], Field(min_length=1)]
    outputs: dict[str, _Output] = {}


def problems(path: Path) -> list[str]:
    """What is wrong with an ARM template, a line each; empty when it is valid."""
    try:
        template = json.loads(path.read_text(encoding="utf-8"))
        _Template.model_validate(template)
    except json.JSONDecodeError as error:
        return [f"line {error.lineno}: {error.msg}"]
    except ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}, not {e['input']!r:.60}" for e in error.errors()]
    return [*_parameter_problems(template), *_resource_problems(template), *reference_problems(template)]


def _parameter_problems(template: dict[str, Any]) -> Iterator[str]:
    kinds = {"string": str, "securestring": str, "int": int, "bool": bool, "array": list}
    for name, parameter in template.get("parameters", {}).items():
        default, allowed = parameter.get("defaultValue"), parameter.get("allowedValues")
        kind = kinds.get(parameter["type"], dict)
        if default is None or is_expression(default):
            continue
        if not isinstance(default, kind) or (kind is int and isinstance(default, bool)):
            yield f"parameters.{name}: the default {default!r} is no {parameter['type']}"
        elif allowed is not None and default not in allowed:
            yield f"parameters.{name}: the default {default!r} is none of the allowed values"
        elif parameter["type"] in ("securestring", "secureObject"):
            yield f"parameters.{name}: a secret must not have a default"


def _resource_problems(template: dict[str, Any]) -> Iterator[str]:
    for index, resource in enumerate(template["resources"]):
        kind, version = resource["type"], resource["apiVersion"]
        at = f"resources[{index}] {kind.rpartition('/')[2]}"
        body = {key: value for key, value in resource.items() if key not in _OF_MANAGER}
        if kind in BARE_RESOURCES:
            wanted = BARE_RESOURCES[kind]
            found = [f"{at}.{key}: {kind} has no such property" for key in body.keys() - {"location", "tags"}]
        elif kind in RESOURCE_MODELS:
            wanted = RESOURCE_MODELS[kind].version
            found = list(model_problems(RESOURCE_MODELS[kind].load(), body, at, is_expression))
        else:
            yield f"{at}: no model is known for {kind}; add it to infra/validators/arm_models.py"
            continue
        yield from found
        if version != wanted:
            yield f"{at}.apiVersion: {version} is not {wanted}, that of the SDK which the resource is held against"
        # These rely on the shape that the model asks for.
        if kind in _INNER_PROBLEMS and not found:
            yield from (f"{at}: {problem}" for problem in _INNER_PROBLEMS[kind](resource["properties"]))
