"""Pipelines of Data Factory: what their activities name is there, and what they call is a function.

The shape of an activity is judged by Microsoft's model of it (see arm.py); this judges what binds activities together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from infra.validators.expressions import Access, Call, ExpressionError, Literal, Node, calls, parse

# Functions of pipelines that this project uses, with the fewest and most arguments; a new one is added here.
_FUNCTIONS = {
    "activity": (1, 1), "base64": (1, 1), "coalesce": (1, 99), "concat": (1, 99), "contains": (2, 2),
    "createArray": (1, 99), "equals": (2, 2), "pipeline": (0, 0), "uriComponent": (1, 1), "variables": (1, 1),
}  # fmt: skip
_OF_PIPELINE = {"RunId", "parameters"}
_CONDITIONS = {"Succeeded", "Failed", "Skipped", "Completed"}
# Lists of activities inside others, and who may not lie in them: "Activity nesting limitations", Microsoft Learn.
_INNER = ("activities", "ifTrueActivities", "ifFalseActivities")
_NEVER_INSIDE = {"Until": {"Until", "ForEach"}, "IfCondition": {"IfCondition", "Until", "ForEach", "Switch"}}
_NAME = re.compile(r"[A-Za-z0-9_][^.+?/<>*%&:\\]{0,54}")


def pipeline_problems(pipeline: dict[str, Any]) -> list[str]:
    """What is wrong with the properties of a pipeline, a line each.

    Args:
        pipeline: Its `properties`, of the shape that Microsoft's model asks for.
    """
    return list(_Pipeline(pipeline).problems(pipeline.get("activities", []), before=set()))


class _Pipeline:
    def __init__(self, properties: dict[str, Any]) -> None:
        self.parameters = set(properties.get("parameters", {}))
        self.variables = set(properties.get("variables", {}))
        self.names: set[str] = set()

    def problems(self, activities: list[Any], before: set[str]) -> Iterator[str]:
        """Judge activities of one list.

        Args:
            activities: Of the pipeline, or inside another activity.
            before: Activities that have ended when the first of these begins.
        """
        named = {a["name"]: a for a in activities if isinstance(a, dict) and isinstance(a.get("name"), str)}
        if len(named) < len(activities):
            yield "two activities of one list have the same name, or one has none"
        ended = {name: before | _closure(named, name) for name in named}
        for name, activity in named.items():
            if name in self.names or not _NAME.fullmatch(name):
                yield f"{name}: the name is taken, or none that Data Factory takes"
            self.names.add(name)
            yield from self._dependency_problems(name, activity, named, ended[name] - before)
            outer = {k: v for k, v in activity.get("typeProperties", {}).items() if k not in _INNER}
            # The condition of a loop is looked at when its activities have ended.
            yield from self._expression_problems(outer, name, ended[name])
            yield from self._inner_problems(name, activity, ended[name])

    def _inner_problems(self, name: str, activity: dict[str, Any], ended: set[str]) -> Iterator[str]:
        for key in _INNER:
            inner = activity.get("typeProperties", {}).get(key, [])
            forbidden = _NEVER_INSIDE.get(activity["type"], set())
            yield from (
                f"{name}: {a['type']} may not lie inside {activity['type']}"
                for a in inner
                if a.get("type") in forbidden
            )
            yield from self.problems(inner, ended)

    def _dependency_problems(
        self, name: str, activity: dict[str, Any], named: dict[str, Any], ended: set[str]
    ) -> Iterator[str]:
        for dependency in activity.get("dependsOn", []):
            if dependency.get("activity") not in named:
                yield f"{name}: depends on {dependency.get('activity')!r}, which is not beside it"
            for condition in set(dependency.get("dependencyConditions", [])) - _CONDITIONS:
                yield f"{name}: {condition!r} is none of {', '.join(sorted(_CONDITIONS))}"
        if name in ended:
            yield f"{name}: depends on itself"
        variable = activity.get("typeProperties", {}).get("variableName")
        if activity["type"] == "SetVariable" and variable not in self.variables:
            yield f"{name}: sets {variable!r}, which is not declared in variables"

    def _expression_problems(self, value: object, name: str, ended: set[str]) -> Iterator[str]:
        for text in expressions(value):
            try:
                tree = parse(text[1:])
            except ExpressionError as error:
                yield f"{name}: {error}"
                continue
            yield from (f"{name}: {p} in {text}" for p in self._tree_problems(tree, ended))

    def _tree_problems(self, tree: Node, ended: set[str]) -> Iterator[str]:
        for call in calls(tree):
            fewest, most = _FUNCTIONS.get(call.function, (0, -1))
            if call.function not in _FUNCTIONS:
                yield f"function {call.function} is not known (infra/validators/data_factory.py lists them)"
            elif not fewest <= len(call.arguments) <= most:
                yield f"{call.function} takes {fewest} to {most} arguments, not {len(call.arguments)}"
            elif call.function in ("activity", "variables"):
                named = call.arguments[0].value if isinstance(call.arguments[0], Literal) else None
                if named not in (ended if call.function == "activity" else self.variables):
                    yield f"{call.function} {named!r} is not there, or has not ended by then"
        for path in _members_of_pipeline(tree):
            if path[0] not in _OF_PIPELINE or (
                path[0] == "parameters" and path[1:2] and path[1] not in self.parameters
            ):
                yield f"pipeline().{'.'.join(path)} is not declared"


def expressions(value: object) -> Iterator[str]:
    """Every text within a value that Data Factory computes, with the ``@`` it begins with."""
    if isinstance(value, dict):
        for item in value.values():
            yield from expressions(item)
    elif isinstance(value, list):
        for item in value:
            yield from expressions(item)
    elif isinstance(value, str) and value.startswith("@") and not value.startswith("@@"):
        yield value


def _members_of_pipeline(tree: Node) -> Iterator[list[str]]:
    """The names after ``pipeline()``, as ``["parameters", "flowName"]``."""
    if isinstance(tree, Access):
        path: list[str] = []
        node: Node = tree
        while isinstance(node, Access):
            path.insert(0, str(node.member.value) if isinstance(node.member, Literal) else "")
            node = node.of
        if isinstance(node, Call) and node.function == "pipeline":
            yield path
        else:
            yield from _members_of_pipeline(node)
    elif isinstance(tree, Call):
        for argument in tree.arguments:
            yield from _members_of_pipeline(argument)


def _closure(named: dict[str, Any], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = {d.get("activity") for d in named[start].get("dependsOn", [])}
    while waiting:
        seen |= waiting
        waiting = {d.get("activity") for n in waiting & named.keys() for d in named[n].get("dependsOn", [])} - seen
    return seen
