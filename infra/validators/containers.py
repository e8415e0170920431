"""What holds for a container wherever it runs: an exact image, settings that exist, values that they take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

import pydantic
from prefect.settings import Settings as PrefectSettings

from lake.configuration import CONFIG_VARIABLE, ENV_PREFIX, load_settings
from lake.errors import ConfigurationError
from lake.settings import Settings

PREFECT_PREFIX = "PREFECT_"
_FLOATING_TAGS = ("latest", "main", "master", "edge", "stable")
_EXACT_TAG = re.compile(r"[^@]*:(?P<tag>\w[\w.-]*\d[\w.-]*)(@sha256:[0-9a-f]{64})?")


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a template.

    Args:
        name: Where it stands in its file.
        image: As written; None where the value is known only when it is deployed.
        command: Words of its command; empty where the image's own is used.
        environment: Values by name; None where the value is known only when it is deployed.
    """

    name: str
    image: str | None
    command: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)


def container_problems(container: Container) -> Iterator[str]:
    """What is wrong with a container, a line each."""
    if container.image is not None and not is_exact(container.image):
        yield f"{container.name}: image {container.image} names no exact version; write name:1.2.3"
    for name, value in container.environment.items():
        if problem := _variable_problem(name, value):
            yield f"{container.name}: {problem}"


def is_exact(image: str) -> bool:
    """Whether the image's tag names a version, which nobody is expected to move."""
    match = _EXACT_TAG.fullmatch(image)
    return match is not None and match["tag"] not in _FLOATING_TAGS


def _variable_problem(name: str, value: str | None) -> str | None:
    if name.startswith(PREFECT_PREFIX):
        return None if name in prefect_variables() else f"{name} is no setting of the installed Prefect"
    if not name.startswith(ENV_PREFIX) or name == CONFIG_VARIABLE:
        return None
    if value is not None:
        try:
            load_settings(environ={name: value})
        except ConfigurationError as error:
            return str(error)
        return None
    return None if name in lake_variables() else f"{name} is no setting; lake/settings.py lists them"


@cache
def lake_variables() -> frozenset[str]:
    """Names of the environment variables of `lake.settings`."""
    return frozenset(
        f"{ENV_PREFIX}{section}__{key}".upper()
        for section, model in Settings.model_fields.items()
        if isinstance(model.annotation, type) and issubclass(model.annotation, pydantic.BaseModel)
        for key in model.annotation.model_fields
    )


@cache
def prefect_variables() -> frozenset[str]:
    """Names of the environment variables that the installed Prefect reads, older names included."""
    return frozenset(_prefect_names(PrefectSettings))


def _prefect_names(model: type[pydantic.BaseModel]) -> Iterator[str]:
    for name, setting in model.model_fields.items():
        if isinstance(setting.annotation, type) and issubclass(setting.annotation, pydantic.BaseModel):
            yield from _prefect_names(setting.annotation)
            continue
        yield f"{model.model_config.get('env_prefix', '')}{name}".upper()
        if isinstance(setting.validation_alias, pydantic.AliasChoices):
            yield from (alias.upper() for alias in setting.validation_alias.choices if isinstance(alias, str))
