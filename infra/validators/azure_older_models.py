"""A JSON value against a model of those Microsoft SDKs that still describe a field by a map (Monitor, Authorization).

``_attribute_map`` says where in the JSON an attribute lies and of which type it is, ``_validation`` what is required or
read-only, ``_subtype_map`` which model a discriminator chooses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

# Tells a value that an expression yields only when the template is deployed.
IsExpression = Callable[[object], bool]
_NUMBER = (int, float)
_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str, "iso-8601": str, "duration": str, "int": int, "long": int, "bool": bool, "float": _NUMBER,
    "decimal": _NUMBER, "object": object,
}  # fmt: skip


def older_model_problems(model: Any, value: dict[str, Any], at: str, is_expression: IsExpression) -> Iterator[str]:
    """What of a value the model does not have; see azure_models.model_problems."""
    chosen = _subtype(model, value)
    if chosen is None:
        kinds = sorted(kind for names in model._subtype_map.values() for kind in names)
        yield f"{at}: names no kind of {model.__name__}: {', '.join(kinds)}"
    else:
        yield from _within(chosen, _tree(chosen), value, at, is_expression)


def _subtype(model: Any, value: dict[str, Any]) -> Any:
    for attribute, kinds in getattr(model, "_subtype_map", {}).items():
        key = model._attribute_map[attribute]["key"].replace("\\.", ".")
        name = kinds.get(value.get(key))
        return getattr(sys.modules[model.__module__], name) if name else None
    return model


def _tree(model: Any) -> dict[str, Any]:
    """Type and rules of each attribute, by its path: these models take ``properties`` apart."""
    tree: dict[str, Any] = {}
    for attribute, described in model._attribute_map.items():
        *path, last = (part.replace("\0", ".") for part in described["key"].replace("\\.", "\0").split("."))
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = (described["type"], model._validation.get(attribute, {}))
    return tree


def _within(model: Any, tree: dict[str, Any], value: object, at: str, is_expression: IsExpression) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: an object is expected, not {value!r}"
        return
    for key in value.keys() - tree.keys():
        yield f"{at}.{key}: {model.__name__} has no such property; it has {', '.join(sorted(tree))}"
    for key, described in tree.items():
        if isinstance(described, dict):
            if key in value or any(_is_required(leaf) for leaf in described.values()):
                yield from _within(model, described, value.get(key, {}), f"{at}.{key}", is_expression)
        elif key not in value:
            if _is_required(described):
                yield f"{at}.{key}: is missing; {model.__name__} requires it"
        elif described[1].get("readonly") and key not in ("name", "type"):
            yield f"{at}.{key}: is read-only"
        else:
            yield from _typed(model, described[0], value[key], f"{at}.{key}", is_expression)


def _is_required(described: object) -> bool:
    return isinstance(described, tuple) and described[1].get("required", False) and not described[1].get("constant")


def _typed(model: Any, kind: str, value: object, at: str, is_expression: IsExpression) -> Iterator[str]:
    if is_expression(value):
        return
    if kind[0] in "[{":
        yield from _items(model, kind, value, at, is_expression)
    elif kind in _TYPES:
        if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind not in ("bool", "object")):
            yield f"{at}: {kind} is expected, not {value!r}"
    elif isinstance(value, dict):
        yield from older_model_problems(getattr(sys.modules[model.__module__], kind), value, at, is_expression)
    else:
        yield f"{at}: an object ({kind}) is expected, not {value!r}"


def _items(model: Any, kind: str, value: object, at: str, is_expression: IsExpression) -> Iterator[str]:
    """``[str]`` is a list of texts, ``{str}`` an object whose values are."""
    inner = kind[1:-1]
    if not isinstance(value, list if kind[0] == "[" else dict):
        yield f"{at}: {'a list' if kind[0] == '[' else 'an object'} is expected, not {value!r}"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _typed(model, inner, item, f"{at}[{index}]", is_expression)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _typed(model, inner, item, f"{at}.{key}", is_expression)
