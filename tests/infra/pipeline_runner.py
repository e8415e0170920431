"""Runs a Data Factory pipeline as its template says: the activities and functions that the project's pipelines use.

Semantics: "Pipelines and activities", "Expressions and functions" and the pages of the activities, Microsoft Learn.
The requests are real; only Data Factory itself is not.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from infra.validators.expressions import Access, Call, Literal, Node, parse

# Data Factory's identity, as far as whoever is asked can tell.
TOKEN = "token-of-the-factory"


class ActivityFailedError(Exception):
    """An activity failed and was not tried again; `code` is the Fail activity's errorCode."""

    def __init__(self, activity: str, message: str, code: str = "") -> None:
        super().__init__(f"{activity}: {message}")
        self.activity, self.message, self.code = activity, message, code


def pipeline_of(template: Path, name: str, **parameters: str) -> dict[str, Any]:
    """The properties of a pipeline, with the template's own parameters put in."""
    for resource in json.loads(template.read_text())["resources"]:
        if resource["type"].endswith("/pipelines") and f"'{name}'" in resource["name"]:
            return dict(_deployed(resource["properties"], parameters))
    raise AssertionError(f"no pipeline {name}")


def _deployed(value: Any, parameters: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _deployed(item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        return [_deployed(item, parameters) for item in value]
    if isinstance(value, str) and (found := re.fullmatch(r"\[parameters\('(\w+)'\)\]", value)):
        return parameters[found[1]]
    return value


@dataclass
class PipelineRun:
    """One run.

    Args:
        pipeline: Properties of the pipeline.
        run_id: What pipeline().RunId yields.
        client: Sends the requests.
        given: Values of parameters; the others have their defaults.
        retry_wait: Called between two tries, with the policy's seconds.
    """

    pipeline: dict[str, Any]
    run_id: str
    client: httpx.Client
    given: dict[str, Any] = field(default_factory=dict)
    retry_wait: Callable[[float], None] = lambda seconds: None
    outputs: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        """Run every activity.

        Raises:
            ActivityFailedError: The pipeline failed.
        """
        declared = self.pipeline["parameters"]
        assert self.given.keys() <= declared.keys(), f"not declared: {self.given.keys() - declared.keys()}"
        self.parameters = {name: p.get("defaultValue") for name, p in declared.items()} | self.given
        self.variables = {name: v.get("defaultValue") for name, v in self.pipeline["variables"].items()}
        self._all(self.pipeline["activities"])

    def _all(self, activities: list[dict[str, Any]]) -> None:
        waiting, ended = list(activities), set[str]()
        while waiting:
            ready = [a for a in waiting if {d["activity"] for d in a.get("dependsOn", [])} <= ended]
            assert ready, f"none of {[a['name'] for a in waiting]} can begin"
            for activity in ready:
                assert all(d["dependencyConditions"] == ["Succeeded"] for d in activity.get("dependsOn", []))
                self._one(activity)
                ended.add(activity["name"])
                waiting.remove(activity)

    def _one(self, activity: dict[str, Any]) -> None:
        kinds = {
            "WebActivity": self._web, "SetVariable": self._set, "Until": self._until, "Wait": self._wait,
            "IfCondition": self._if, "Fail": self._fail,
        }  # fmt: skip
        tries = activity.get("policy", {}).get("retry", 0)
        while True:
            try:
                return kinds[activity["type"]](activity["name"], activity["typeProperties"])
            except ActivityFailedError:
                if tries == 0:
                    raise
                tries -= 1
                self.retry_wait(activity["policy"]["retryIntervalInSeconds"])

    def _web(self, name: str, properties: dict[str, Any]) -> None:
        headers = self.computed(properties.get("headers", {}))
        if properties.get("authentication", {}).get("type") == "MSI":
            headers["Authorization"] = f"Bearer {TOKEN}"
        body = self.computed(properties.get("body"))
        content = None if body is None else json.dumps(body)
        try:
            answer = self.client.request(
                properties["method"], self.computed(properties["url"]), headers=headers, content=content
            )
        except httpx.TransportError as error:
            raise ActivityFailedError(name, repr(error)) from error
        if not answer.is_success:
            raise ActivityFailedError(name, f"{answer.status_code} {answer.text}")
        self.outputs[name] = answer.json()

    def _set(self, name: str, properties: dict[str, Any]) -> None:
        assert properties["variableName"] in self.variables
        self.variables[properties["variableName"]] = self.computed(properties["value"])

    def _until(self, name: str, properties: dict[str, Any]) -> None:
        days, hours, minutes, seconds = map(int, re.split("[.:]", properties["timeout"]))
        until = time.monotonic() + timedelta(days, seconds, hours=hours, minutes=minutes).total_seconds()
        while True:
            self._all(properties["activities"])
            if self.computed(properties["expression"]):
                return
            if time.monotonic() > until:
                raise ActivityFailedError(name, f"timed out after {properties['timeout']}")

    def _wait(self, name: str, properties: dict[str, Any]) -> None:
        time.sleep(self.computed(properties["waitTimeInSeconds"]))

    def _if(self, name: str, properties: dict[str, Any]) -> None:
        branch = "ifTrueActivities" if self.computed(properties["expression"]) else "ifFalseActivities"
        self._all(properties.get(branch, []))

    def _fail(self, name: str, properties: dict[str, Any]) -> None:
        raise ActivityFailedError(name, self.computed(properties["message"]), self.computed(properties["errorCode"]))

    def computed(self, value: Any) -> Any:
        """A value with its expressions replaced by what they yield."""
        if isinstance(value, dict) and value.keys() == {"type", "value"} and value["type"] == "Expression":
            return self.computed(value["value"])
        if isinstance(value, dict):
            return {key: self.computed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.computed(item) for item in value]
        return self._yield(parse(value[1:])) if isinstance(value, str) and value.startswith("@") else value

    def _yield(self, node: Node) -> Any:
        match node:
            case Literal(value):
                return value
            case Access(of, member, safe):
                found = self._yield(of)
                key = self._yield(member)
                if key not in (found or {}):
                    assert safe, f"{key} is missing in {found}"
                    return None
                return found[key]
            case Call(function, arguments):
                return self._call(function, [self._yield(argument) for argument in arguments])

    def _call(self, function: str, values: list[Any]) -> Any:
        functions: dict[str, Callable[..., Any]] = {
            "activity": lambda name: {"output": self.outputs[name]},
            "pipeline": lambda: {"RunId": self.run_id, "parameters": self.parameters},
            "variables": self.variables.__getitem__,
            "concat": lambda *parts: "".join(map(str, parts)),
            "base64": lambda text: base64.b64encode(text.encode()).decode(),
            "coalesce": lambda *of: next((v for v in of if v is not None), None),
            "contains": lambda of, value: value in of,
            "createArray": lambda *of: list(of),
            "equals": lambda left, right: left == right,
            "uriComponent": lambda text: quote(text, safe=""),
        }
        return functions[function](*values)
