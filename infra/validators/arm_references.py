"""Expressions of ARM templates: that they can be read, and that what they name is in the template and made before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from infra.validators.expressions import Call, ExpressionError, Literal, Node, calls, parse

# Functions of templates that this project uses, with the fewest and most arguments; a new one is added here.
_FUNCTIONS = {
    "concat": (1, 99), "format": (2, 99), "guid": (1, 99), "if": (3, 3), "listKeys": (2, 2), "mul": (2, 2),
    "parameters": (1, 1), "reference": (1, 3), "resourceGroup": (0, 0), "resourceId": (2, 99), "subscription": (0, 0),
    "subscriptionResourceId": (2, 99), "take": (2, 2), "toLower": (1, 1), "uniqueString": (1, 99),
    "uriComponent": (1, 1), "variables": (1, 1),
}  # fmt: skip
# A resource by its type and the parts of its name.
Address = tuple[str, tuple[Node, ...]]


def is_expression(value: object) -> bool:
    """Whether Resource Manager computes the value."""
    return isinstance(value, str) and value.startswith("[") and not value.startswith("[[")


def reference_problems(template: dict[str, Any]) -> list[str]:
    """Wrong expressions, references to what is not declared, what is declared and never used, missing dependencies.

    Args:
        template: With the structure of an ARM template. ``metadata.existing`` lists types of resources outside of it.
    """
    found: list[str] = []
    trees: dict[str, Node] = {}
    for at, text in _expressions(template, "template"):
        try:
            trees[at] = parse(text)
        except ExpressionError as error:
            found.append(f"{at}: {error}")
    if found:
        return found
    for at, tree in trees.items():
        found += (f"{at}: {problem}" for call in calls(tree) for problem in _call_problems(call))
    found += _declared_problems(template, trees, "parameters")
    found += _declared_problems(template, trees, "variables")
    return found or list(_resource_problems(template))


def _expressions(value: object, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _expressions(item, f"{at}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _expressions(item, f"{at}[{index}]")
    elif isinstance(value, str) and is_expression(value):
        # A text that begins an expression and does not end it is taken for plain text by nobody who wrote it.
        yield at, value[1:-1] if value.endswith("]") else value


def _call_problems(call: Call) -> Iterator[str]:
    if call.function not in _FUNCTIONS:
        yield f"function {call.function} is not known; add it to infra/validators/arm_references.py if it is right"
        return
    fewest, most = _FUNCTIONS[call.function]
    if not fewest <= len(call.arguments) <= most:
        yield f"{call.function} takes {fewest} to {most} arguments, not {len(call.arguments)}"


def _declared_problems(template: dict[str, Any], trees: dict[str, Node], kind: str) -> Iterator[str]:
    declared, used = set(template.get(kind, {})), set()
    for at, tree in trees.items():
        for call in calls(tree):
            if call.function == kind and isinstance(call.arguments[0], Literal):
                name = call.arguments[0].value
                used.add(name)
                if name not in declared:
                    yield f"{at}: {name!r} is not declared in {kind}"
    yield from (f"{kind}.{name}: is declared and never used" for name in sorted(declared - used))


def _resource_problems(template: dict[str, Any]) -> Iterator[str]:
    existing = template.get("metadata", {}).get("existing", [])
    resources = {_address(resource): resource for resource in template["resources"]}
    if len(resources) < len(template["resources"]):
        yield "resources: two have the same type and name"
    depends = {own: {a for a, _ in _referred(r.get("dependsOn", []))} for own, r in resources.items()}
    for own, resource in resources.items():
        at = f"{own[0]} {resource['name']}"
        yield from (
            f"{at}.dependsOn: {text!r} is no resourceId(…)"
            for text in resource.get("dependsOn", [])
            if not list(_referred(text))
        )
        before = _closure(depends, own)
        for address, text in _referred(resource):
            if address in resources and address not in before and address != own:
                yield f"{at}: uses {text} without depending on it"
            elif address not in resources and address[0] not in existing:
                yield f"{at}: {text} is not in this template"
        kind, _, _ = own[0].rpartition("/")
        if kind.count("/") and (kind, own[1][:-1]) not in before:
            yield f"{at}: does not depend on the {kind} it belongs to"
        if own in before:
            yield f"{at}: depends on itself"
    for address, text in _referred(template.get("outputs", {})):
        if address not in resources and address[0] not in existing:
            yield f"outputs: {text} is not in this template"


def _address(resource: dict[str, Any]) -> Address:
    name = resource["name"]
    if not is_expression(name):
        return resource["type"], tuple(Literal(part) for part in name.split("/"))
    tree = parse(name[1:-1])
    if isinstance(tree, Call) and tree.function == "format" and isinstance(tree.arguments[0], Literal):
        parts = str(tree.arguments[0].value).split("/")
        if len(parts) > 1:
            return resource["type"], tuple(_part(part, tree.arguments[1:]) for part in parts)
    return resource["type"], (tree,)


def _part(part: str, arguments: tuple[Node, ...]) -> Node:
    whole = re.fullmatch(r"\{(\d+)\}", part)
    if whole:
        return arguments[int(whole[1])]
    return Call("format", (Literal(part), *arguments)) if "{" in part else Literal(part)


def _referred(value: object) -> Iterator[tuple[Address, str]]:
    """Resources named by resourceId(…) anywhere in a value, and the expression that names them."""
    for _, text in _expressions(value, ""):
        for call in calls(parse(text)):
            if call.function == "resourceId" and isinstance(call.arguments[0], Literal):
                yield (str(call.arguments[0].value), call.arguments[1:]), text


def _closure(depends: dict[Address, set[Address]], start: Address) -> set[Address]:
    seen: set[Address] = set()
    waiting = set(depends[start])
    while waiting:
        seen |= waiting
        waiting = {a for b in waiting for a in depends.get(b, ())} - seen
    return seen
