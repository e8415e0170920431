"""A JSON value against a model of Microsoft's SDKs: unknown and missing properties, wrong types, unknown values.

The SDKs themselves let all of these through. Newer models say what a field is by annotations; the older ones are
read in azure_older_models.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from infra.validators.azure_older_models import IsExpression, older_model_problems


def model_problems(model: Any, value: object, at: str, is_expression: IsExpression) -> Iterator[str]:
    """What of a value the model does not have.

    Args:
        model: A model class of an azure-mgmt package.
        value: What the template holds.
        at: Its place in the template, for people.
        is_expression: Tells values that are not there yet from those that are.
    """
    if is_expression(value):
        return
    if not isinstance(value, dict):
        yield f"{at}: an object ({model.__name__}) is expected, not {value!r}"
    elif hasattr(model, "_attribute_map"):
        yield from older_model_problems(model, value, at, is_expression)
    else:
        yield from _new_problems(model, value, at, is_expression)


def _new_problems(model: Any, value: dict[str, Any], at: str, is_expression: IsExpression) -> Iterator[str]:
    chosen, wrong = _subtype(model, value)
    if wrong:
        yield f"{at}: {wrong}"
        return
    fields = _fields(chosen)
    for key in value.keys() - fields.keys():
        yield f"{at}.{key}: {chosen.__name__} has no such property; it has {', '.join(sorted(fields))}"
    for key, (hint, read_only) in fields.items():
        if key not in value:
            if not (read_only or _is_optional(hint)):
                yield f"{at}.{key}: is missing; {chosen.__name__} requires it"
        elif read_only and key not in ("name", "type"):
            yield f"{at}.{key}: is read-only"
        else:
            yield from _typed(hint, value[key], f"{at}.{key}", is_expression)


def _subtype(model: Any, value: dict[str, Any]) -> tuple[Any, str]:
    """The model a discriminator chooses, and what is wrong with the discriminator."""
    chosen = model
    while mapping := chosen.__dict__.get("__mapping__"):
        name = next((f._rest_name for f in _rest_fields(chosen).values() if f._is_discriminator), "type")
        kind = value.get(name)
        known = _kinds(chosen)
        if kind not in known:
            return chosen, f"{name} {kind!r} is none of {chosen.__name__}'s"
        chosen = mapping.get(kind) or next(m for m in mapping.values() if kind in _kinds(m))
    return chosen, ""


def _kinds(model: Any) -> set[str]:
    mapping = model.__dict__.get("__mapping__") or {}
    return set(mapping).union(*(_kinds(child) for child in mapping.values()))


def _rest_fields(model: Any) -> dict[str, Any]:
    model({})  # The SDK computes the fields of a class with its first instance.
    return dict(model._attr_to_rest_field)


@cache
def _fields(model: Any) -> dict[str, tuple[Any, bool]]:
    """Type and whether it is read-only, by the name in JSON."""
    module = sys.modules[model.__module__]
    names = {**vars(module), "_models": sys.modules[module.__name__.rpartition(".")[0]]}
    hints = get_type_hints(model, globalns=names)
    return {
        field._rest_name: (hints[attribute], field._visibility == ["read"])
        for attribute, field in _rest_fields(model).items()
    }


def _is_optional(hint: Any) -> bool:
    return type(None) in get_args(hint)


def _typed(hint: Any, value: object, at: str, is_expression: IsExpression) -> Iterator[str]:
    if hint is Any or is_expression(value):
        return
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        yield from _one_of([a for a in arguments if a is not type(None)], value, at, is_expression)
    elif origin is Literal:
        if value not in arguments:
            yield f"{at}: {value!r} is none of {', '.join(map(repr, arguments))}"
    elif origin in (list, dict):
        yield from _items(origin, arguments[-1], value, at, is_expression)
    elif isinstance(hint, type) and hasattr(hint, "_is_model"):
        yield from model_problems(hint, value, at, is_expression)
    elif isinstance(hint, type):
        yield from _scalar(hint, value, at)


def _items(origin: Any, hint: Any, value: object, at: str, is_expression: IsExpression) -> Iterator[str]:
    if not isinstance(value, origin):
        yield f"{at}: {'a list' if origin is list else 'an object'} is expected, not {value!r}"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _typed(hint, item, f"{at}[{index}]", is_expression)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _typed(hint, item, f"{at}.{key}", is_expression)


def _one_of(choices: list[Any], value: object, at: str, is_expression: IsExpression) -> Iterator[str]:
    # The SDKs write Union[str, Enum] for a text whose values are known.
    known = next((c for c in choices if isinstance(c, type) and issubclass(c, Enum)), None)
    if known is not None:
        yield from _known(known, value, at)
        return
    told = [list(_typed(choice, value, at, is_expression)) for choice in choices]
    if all(told):
        yield from min(told, key=len)


def _known(known: type[Enum], value: object, at: str) -> Iterator[str]:
    if value not in {member.value for member in known}:
        yield f"{at}: {value!r} is none of {', '.join(str(member.value) for member in known)}"


def _scalar(hint: type, value: object, at: str) -> Iterator[str]:
    # Moments, durations and bytes are texts in JSON.
    numbers: dict[type, tuple[type, ...]] = {int: (int,), bool: (bool,), float: (int, float)}
    wanted = numbers.get(hint, (str,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
        yield f"{at}: {hint.__name__} is expected, not {value!r}"
