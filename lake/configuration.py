"""The configuration: one YAML file, typed; environment variables override; a typo stops the process.

Read once at start-up by the command line or a flow and passed on; nothing else reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from lake.errors import ConfigurationError
from lake.settings import PROJECT_ROOT, Settings

ENV_PREFIX = "LAKEHOUSE_"
CONFIG_VARIABLE = "LAKEHOUSE_CONFIG"
DEFAULT_CONFIG = PROJECT_ROOT / "configs" / "lakehouse.yaml"

_LIMIT_WORDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from `path` (or ``$LAKEHOUSE_CONFIG``, or the default file) under the environment's overrides.

    Relative paths in the result are as written: relative to the working directory.

    Raises:
        ConfigurationError: Unknown key, wrong type or impossible value; one line naming file, key and allowed values.
    """
    environ = os.environ if environ is None else environ
    chosen = path or Path(environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    values = _read_yaml(chosen)
    origins: dict[tuple[str, ...], str] = {}
    for variable, key, text in _overrides(environ):
        _set(values, key, text, variable)
        origins[key] = variable
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise _explain(error, chosen, origins) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the configuration: {error.strerror}", where=str(path), mend="name another with --config FILE"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigurationError(
            f"not valid YAML: {getattr(error, 'problem', None) or error}", where=f"{path}{line}"
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigurationError("expected keys and values at the top level", where=str(path))
    return values


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...], str]]:
    for variable in sorted(environ):
        if variable.startswith(ENV_PREFIX) and variable != CONFIG_VARIABLE:
            yield variable, tuple(variable.removeprefix(ENV_PREFIX).lower().split("__")), environ[variable]


def _set(values: dict[str, Any], key: tuple[str, ...], text: str, variable: str) -> None:
    section = values
    for part in key[:-1]:
        nested = section.setdefault(part, {})
        if not isinstance(nested, dict):
            raise ConfigurationError(f"{'.'.join(key)} is not a setting", where=variable, mend=_listing(Settings))
        section = nested
    # YAML rules for the text, so that lists and numbers read alike in the file and the environment.
    section[key[-1]] = yaml.safe_load(text)


def _explain(error: ValidationError, path: Path, origins: Mapping[tuple[str, ...], str]) -> ConfigurationError:
    first = error.errors(include_url=False)[0]
    key = tuple(str(part) for part in first["loc"])
    dotted = ".".join(key) or "(whole file)"
    where = next((name for origin, name in origins.items() if key[: len(origin)] == origin), str(path))
    if first["type"] == "extra_forbidden":
        allowed = _listing(_model_at(key[:-1]))
        return ConfigurationError(f"unknown key {dotted}", where=where, mend=f"allowed: {allowed}")
    given = f", not {first['input']!r}" if key else ""
    return ConfigurationError(f"{dotted}: {first['msg']}{given}", where=where, mend=_allowed(key))


def _model_at(key: tuple[str, ...]) -> type[BaseModel]:
    model: type[BaseModel] = Settings
    for part in key:
        field = model.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            break
        model = field.annotation
    return model


def _listing(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)


def _allowed(key: tuple[str, ...]) -> str | None:
    """The limits of a setting in words, from its declaration."""
    field = _model_at(key[:1]).model_fields.get(key[1]) if len(key) > 1 else None
    if field is None:
        return None
    limits = [
        f"{words} {limit}"
        for rule in field.metadata
        for attribute, words in _LIMIT_WORDS.items()
        if (limit := getattr(rule, attribute, None)) is not None
    ]
    choices = [str(c) for argument in get_args(field.annotation) for c in get_args(argument)]
    if choices:
        limits.append(" or ".join(choices))
    return f"allowed: {' and '.join(limits)}" if limits else None
