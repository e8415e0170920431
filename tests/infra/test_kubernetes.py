"""Breaking a Kubernetes manifest turns the tests red: each way of breaking one is reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.validate import INFRA
from infra.validators.yaml_file import read_documents
from tests.infra.conftest import Break

FOLDER = INFRA / "kubernetes"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("api.yaml", "  replicas: 1", "  replica: 1", "replica"),
        ("api.yaml", "  replicas: 1", '  replicas: "1"', "is not of type"),
        ("api.yaml", "apiVersion: apps/v1", "apiVersion: apps/v1beta1", "knows no such kind"),
        ("api.yaml", "kind: Deployment", "kind: Deploiment", "knows no such kind"),
        ("api.yaml", "containerPort: 8000", "containerPort: http", "is not of type"),
        ("api.yaml", "path: /health/live, port: http", "path: /health/live, port: web", "startupProbe asks port web"),
        ("api.yaml", "httpGet: {path", "httpget: {path", "httpget"),
        ("api.yaml", "claimName: lake", "claimName: lak", "claims lak"),
        ("api.yaml", "{name: tmp, mountPath", "{name: temp, mountPath", "mounts temp"),
        ("api.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "may run as root"),
        ("api.yaml", "lakehouse-service:0.1.0", "lakehouse-service:latest", "no exact version"),
        ("api.yaml", "LAKEHOUSE_API__WORKERS", "LAKEHOUSE_API__WORKER", "LAKEHOUSE_API__WORKER"),
        ("api.yaml", 'value: "2"', 'value: "200"', "less than or equal to 64"),
        ("api.yaml", "            limits: {memory: 4Gi}\n", "", "no resources.limits"),
        ("api.yaml", "selector: {app.kubernetes.io/name: api}", "selector: {app.kubernetes.io/name: apu}", "no pod"),
        ("api.yaml", "labels: {app.kubernetes.io/name: api}", "labels: {app.kubernetes.io/name: apu}", "its own pods"),
        ("worker.yaml", "key: prefect-auth-string", "key: prefect-auth", "which nobody makes"),
        ("worker.yaml", "PREFECT_API_URL", "PREFECT_URL_API", "no setting of the installed Prefect"),
        ("network.yaml", "values: [worker, deploy]", "values: [wroker, deploy]", "wroker"),
        ("network.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: Ingress", "is not of type"),
        ("kustomization.yaml", "  - lake.yaml\n", "", "lake.yaml is there and not listed"),
        ("kustomization.yaml", "  - lake.yaml", "  - lak.yaml", "lak.yaml is not there"),
        ("kustomization.yaml", "resources:", "resource:", "unknown key resource"),
        (
            "kustomization.yaml",
            "name: lakehouse-worker, newName",
            "name: lakehouse-wroker, newName",
            "no container runs",
        ),
        ("lake.yaml", "spec:\n", "spec: {\n", "not valid YAML"),
    ],
)
def test_a_broken_manifest_is_reported(broken: Break, file: str, old: str, new: str, said: str) -> None:
    assert said in "\n".join(broken(f"kubernetes/{file}", old, new))


def manifests(kind: str) -> dict[str, Any]:
    found = (d for file in FOLDER.glob("*.yaml") for d in read_documents(file) if d["kind"] == kind)
    return {document["metadata"]["name"]: document for document in found}


@pytest.mark.parametrize("name", ["api", "worker", "prefect"])
def test_what_must_not_run_twice_ends_before_its_successor_starts(name: str) -> None:
    spec = manifests("Deployment")[name]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_every_container_is_locked_down() -> None:
    for kind in ("Deployment", "StatefulSet", "Job"):
        for name, document in manifests(kind).items():
            pod = document["spec"]["template"]["spec"]
            assert pod["automountServiceAccountToken"] is False, name
            for container in [*pod.get("initContainers", ()), *pod["containers"]]:
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }, name


def test_by_default_nothing_reaches_a_pod_and_a_pod_reaches_names_only() -> None:
    policy = manifests("NetworkPolicy")["nothing-but-names"]["spec"]
    assert policy["podSelector"] == {}
    assert "ingress" not in policy
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53}


def test_worker_and_service_share_one_lake_at_the_images_place() -> None:
    mounts = {
        name: [
            mount["mountPath"]
            for container in manifests("Deployment")[name]["spec"]["template"]["spec"]["containers"]
            for mount in container["volumeMounts"]
            if mount["name"] == "lake"
        ]
        for name in ("worker", "api")
    }
    assert mounts == {"worker": ["/opt/lakehouse/data"], "api": ["/opt/lakehouse/data"]}
    assert "/opt/lakehouse/data" in (INFRA / "docker" / "Dockerfile").read_text(encoding="utf-8")


def test_probes_ask_paths_that_the_service_answers() -> None:
    from api.main import create_app
    from lake.settings import Settings

    (container,) = manifests("Deployment")["api"]["spec"]["template"]["spec"]["containers"]
    asked = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert asked == {"/health/live", "/health/ready"}
    assert asked <= set(create_app(Settings()).openapi()["paths"])


def test_the_document_names_the_keys_of_the_secret() -> None:
    from infra.validators.kubernetes import SECRET_KEYS

    page = (INFRA.parent / "docs" / "deployment" / "containers.md").read_text(encoding="utf-8")
    assert json.dumps(sorted(key for key in SECRET_KEYS if f"--from-literal={key}=" in page)) == json.dumps(
        sorted(SECRET_KEYS)
    )


def test_no_manifest_carries_a_secret() -> None:
    assert not list(manifests("Secret"))
    assert not [f for f in Path(FOLDER).iterdir() if f.suffix != ".yaml"]
