"""The Data Factory template is valid, and a broken copy of it is reported by the same function."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from infra.validate import INFRA
from infra.validators import arm
from tests.infra.breaking import Change, broken_json

TEMPLATE = INFRA / "data_factory" / "run-prefect-deployment.json"


def pipeline(template: Any) -> Any:
    return template["resources"][1]["properties"]


def activity(template: Any, name: str) -> Any:
    waiting = list(pipeline(template)["activities"])
    while waiting:
        found = waiting.pop()
        if found["name"] == name:
            return found
        waiting += found["typeProperties"].get("activities", []) + found["typeProperties"].get("ifFalseActivities", [])
    raise AssertionError(name)


def properties(template: Any, name: str) -> Any:
    return activity(template, name)["typeProperties"]


def test_the_template_is_valid() -> None:
    assert arm.problems(TEMPLATE) == []


BROKEN: dict[str, tuple[Change, str]] = {
    "misspelt activity type": (lambda t: activity(t, "wait").update(type="Pause"), "'Pause' is none of Activity's"),
    "unknown property": (lambda t: properties(t, "wait").update(seconds=3), "WaitActivityTypeProperties has no"),
    "wrong type": (
        lambda t: activity(t, "read secret")["policy"].update(retryIntervalInSeconds="soon"), "int is expected"
    ),
    "missing required": (lambda t: properties(t, "fail with its message").pop("errorCode"), "errorCode: is missing"),
    "unknown method": (lambda t: properties(t, "read secret").update(method="FETCH"), "'FETCH' is none of GET"),
    "pipeline without properties": (lambda t: t["resources"][1].pop("properties"), "properties: is missing"),
    "type of a parameter": (lambda t: pipeline(t)["parameters"]["flowName"].update(type="Text"), "'Text' is none of"),
    "dependency on a misspelt activity": (
        lambda t: activity(t, "start flow run")["dependsOn"][0].update(activity="find deploymnt"),
        "depends on 'find deploymnt', which is not beside it",
    ),
    "unknown condition": (
        lambda t: activity(t, "start flow run")["dependsOn"][0].update(dependencyConditions=["Done"]), "'Done' is none"
    ),
    "output of an activity that is not there": (
        lambda t: properties(t, "start flow run").update(url="@activity('find it').output.id"),
        "activity 'find it' is not there",
    ),
    "output of an activity that has not ended": (
        lambda t: properties(t, "find deployment").update(url="@activity('start flow run').output.id"),
        "activity 'start flow run' is not there, or has not ended by then",
    ),
    "undeclared parameter": (
        lambda t: properties(t, "wait")["waitTimeInSeconds"].update(value="@pipeline().parameters.seconds"),
        "pipeline().parameters.seconds is not declared",
    ),
    "undeclared variable": (
        lambda t: properties(t, "has it completed")["expression"].update(value="@equals(variables('state'), 'X')"),
        "variables 'state' is not there",
    ),
    "setting an undeclared variable": (
        lambda t: properties(t, "keep state type").update(variableName="state"), "sets 'state', which is not declared"
    ),
    "misspelt function": (
        lambda t: properties(t, "has it completed")["expression"].update(value="@equal(1, 1)"), "equal is not known"
    ),
    "too many arguments": (
        lambda t: properties(t, "has it completed")["expression"].update(value="@equals(1, 1, 1)"), "takes 2 to 2"
    ),
    "bracket that is not closed": (
        lambda t: properties(t, "has it completed")["expression"].update(value="@equals(1, 1"), "')' is missing"
    ),
    "a loop inside a loop": (
        lambda t: properties(t, "wait for its end")["activities"].append(
            {**copy.deepcopy(activity(t, "wait for its end")), "name": "again", "dependsOn": []}
        ),
        "Until may not lie inside Until",
    ),
    "two activities of one name": (
        lambda t: pipeline(t)["activities"].append(activity(t, "read secret")), "have the same name"
    ),
    "activities that wait for each other": (
        lambda t: activity(t, "read secret").update(
            dependsOn=[{"activity": "find deployment", "dependencyConditions": ["Succeeded"]}]
        ),
        "depends on itself",
    ),
    "factory that is not made first": (
        lambda t: t["resources"][1].update(dependsOn=[]), "does not depend on the Microsoft.DataFactory/factories"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_template_is_reported(case: str, tmp_path: Path) -> None:
    change, expected = BROKEN[case]
    told = arm.problems(broken_json(TEMPLATE, change, tmp_path))
    assert any(expected in problem for problem in told), told


def test_whoever_reads_the_secret_hides_it_from_the_monitoring_pages() -> None:

    template = json.loads(TEMPLATE.read_text())
    assert activity(template, "read secret")["policy"]["secureOutput"]
    for name in ("find deployment", "start flow run", "read flow run"):
        assert "read secret" in properties(template, name)["headers"]["Authorization"]
        assert activity(template, name)["policy"]["secureInput"]
