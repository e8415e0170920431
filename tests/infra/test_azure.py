"""The Azure template is valid, and a broken copy of it is reported by the same function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.main import app as command_line
from infra.validate import INFRA
from infra.validators import arm
from infra.validators.arm_models import BARE_RESOURCES, RESOURCE_MODELS
from tests.infra.breaking import Change, broken_json, broken_text

TEMPLATE = INFRA / "azure" / "lakehouse.json"


def resource(template: Any, kind: str, name: str = "") -> Any:
    return next(r for r in template["resources"] if r["type"] == kind and name in r["name"])


def worker(template: Any) -> Any:
    return resource(template, "Microsoft.App/containerApps", "worker")["properties"]["template"]["containers"][0]


def database(template: Any) -> Any:
    return resource(template, "Microsoft.DBforPostgreSQL/flexibleServers")


def alert(template: Any) -> Any:
    return resource(template, "Microsoft.Insights/metricAlerts", "lake-full")["properties"]


def test_the_template_is_valid() -> None:
    assert arm.problems(TEMPLATE) == []


BROKEN: dict[str, tuple[Change, str]] = {
    "unknown property": (lambda t: worker(t).update(enviroment=[]), "enviroment: Container has no such property"),
    "unknown property beside properties": (lambda t: database(t).update(skus={}), "skus: Server has no such property"),
    "wrong type": (lambda t: worker(t)["resources"].update(cpu="four"), "cpu: float is expected"),
    "a truth for a number": (
        lambda t: database(t)["properties"]["backup"].update(backupRetentionDays=True), "int is expected, not True"
    ),
    "a list for an object": (lambda t: database(t).update(sku=["Standard"]), "an object (Sku) is expected"),
    "missing required": (lambda t: database(t)["sku"].pop("tier"), "tier: is missing"),
    "value that is none of the known": (
        lambda t: resource(t, "Microsoft.Storage/storageAccounts/fileServices/shares")["properties"].update(
            enabledProtocols="NFS4"
        ),
        "'NFS4' is none of SMB, NFS",
    ),
    "read-only property": (
        lambda t: resource(t, "Microsoft.KeyVault/vaults")["properties"].update(hsmPoolResourceId="x"), "is read-only"
    ),
    "unknown property of an older model": (lambda t: alert(t).update(sevirity=1), "sevirity: MetricAlertResource"),
    "wrong type in an older model": (lambda t: alert(t).update(severity="high"), "severity: int is expected"),
    "missing required in an older model": (lambda t: alert(t).pop("criteria"), "criteria: is missing"),
    "unknown kind of an older model": (
        lambda t: alert(t)["criteria"].update({"odata.type": "Single"}), "names no kind of MetricAlertCriteria"
    ),
    "unknown resource type": (lambda t: database(t).update(type="Microsoft.DB/servers"), "no model is known"),
    "version of another time": (lambda t: database(t).update(apiVersion="2022-12-01"), "2022-12-01 is not 2026-10-01"),
    "dangling resource": (
        lambda t: t["resources"].remove(resource(t, "Microsoft.Network/virtualNetworks")), "is not in this template"
    ),
    "forgotten dependency": (
        lambda t: resource(t, "Microsoft.App/managedEnvironments").update(dependsOn=[]), "without depending on it"
    ),
    "a child that does not wait for its parent": (
        lambda t: resource(t, "Microsoft.Storage/storageAccounts/fileServices/shares").update(dependsOn=[]),
        "does not depend on the Microsoft.Storage/storageAccounts/fileServices it belongs to",
    ),
    "dependency that is no resource": (
        lambda t: database(t).update(dependsOn=["the network"]), "'the network' is no resourceId"
    ),
    "undeclared parameter": (lambda t: t["parameters"].pop("alertEmail"), "'alertEmail' is not declared in parameters"),
    "unused parameter": (
        lambda t: t["parameters"].update(hue={"type": "string", "metadata": {}}), "hue: is declared and never used"
    ),
    "undeclared variable": (lambda t: t["variables"].pop("vault"), "'vault' is not declared in variables"),
    "default of the wrong type": (lambda t: t["parameters"]["lakeShareGiB"].update(defaultValue="256"), "is no int"),
    "default that is not allowed": (
        lambda t: t["parameters"]["databaseSku"].update(defaultValue="Large"), "none of the allowed values"
    ),
    "secret with a default": (
        lambda t: t["parameters"]["databasePassword"].update(defaultValue="prefect"), "must not have a default"
    ),
    "unknown type of a parameter": (lambda t: t["parameters"]["location"].update(type="text"), "parameters.location"),
    "unknown key of the template": (lambda t: t.update(ressources=[]), "ressources"),
    "no schema": (lambda t: t.pop("$schema"), "$schema"),
    "misspelt function": (lambda t: t["variables"].update(vault="[formatt('{0}', 'a')]"), "formatt is not known"),
    "bracket that is not closed": (
        lambda t: t["variables"].update(vault="[take(parameters('prefix'), 3"), "variables.vault"
    ),
    "two of one name": (lambda t: t["resources"].append(database(t)), "two have the same type and name"),
    "unknown setting of the lake": (
        lambda t: worker(t)["env"].append({"name": "LAKEHOUSE_MIRROR__GOAL", "value": "x"}), "LAKEHOUSE_MIRROR__GOAL"
    ),
    "unknown setting of Prefect": (
        lambda t: worker(t)["env"].append({"name": "PREFECT_API_AUTH", "value": "x"}), "PREFECT_API_AUTH is no setting"
    ),
    "secret that is not declared": (
        lambda t: worker(t)["env"].append({"name": "X", "secretRef": "other"}), "secret 'other' is not declared"
    ),
    "volume that is not declared": (
        lambda t: worker(t)["volumeMounts"][0].update(volumeName="lakes"), "volume 'lakes' is not declared"
    ),
    "image that moves": (lambda t: worker(t).update(image="lakehouse:latest"), "names no exact version"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_template_is_reported(case: str, tmp_path: Path) -> None:
    change, expected = BROKEN[case]
    told = arm.problems(broken_json(TEMPLATE, change, tmp_path))
    assert any(expected in problem for problem in told), told


def test_a_file_that_is_no_json_is_reported_with_its_line(tmp_path: Path) -> None:
    (told,) = arm.problems(
        broken_text(TEMPLATE, '"contentVersion": "1.0.0.0",', '"contentVersion": "1.0.0.0"', tmp_path)
    )
    assert told.startswith("line ")


def test_the_models_are_those_that_the_templates_need() -> None:
    templates = [*INFRA.glob("azure/*.json"), *INFRA.glob("data_factory/*.json")]
    used = {r["type"] for template in templates for r in json.loads(template.read_text())["resources"]}
    assert used == RESOURCE_MODELS.keys() | BARE_RESOURCES.keys()


def apps() -> list[Any]:
    kinds = ("Microsoft.App/containerApps", "Microsoft.App/jobs")
    return [r["properties"] for r in json.loads(TEMPLATE.read_text())["resources"] if r["type"] in kinds]


def test_one_process_writes_the_lake_for_each_part_and_it_lies_on_nfs() -> None:
    mounting = [app["template"] for app in apps() if "volumes" in app["template"]]
    assert len(mounting) == 2
    for template in mounting:
        assert template["scale"] == {"minReplicas": 1, "maxReplicas": 1}
        assert [v["storageType"] for v in template["volumes"]] == ["NfsAzureFile"]
        assert template["containers"][0]["volumeMounts"][0]["mountPath"] == "/opt/lakehouse/data"


def test_every_secret_reaches_its_container_by_reference_and_none_is_written_out() -> None:
    for app in apps():
        known = {secret["name"] for secret in app["configuration"].get("secrets", [])}
        for variable in app["template"]["containers"][0]["env"]:
            assert variable.get("secretRef") in known | {None}
            is_secret = any(word in variable["name"] for word in ("AUTH", "PASSWORD", "CONNECTION_URL"))
            assert not (is_secret and "value" in variable), variable["name"]


def test_every_command_of_ours_can_be_parsed() -> None:
    commands = [app["template"]["containers"][0]["command"] for app in apps()]
    ours = [command[3:] for command in commands if command[1:3] == ["-m", "cli"]]
    assert sorted(command[0] for command in ours) == ["deploy", "serve"]
    for command in ours:
        command_line.parse_args(command, exit_on_error=False, print_error=False)
