"""Kubernetes manifests: the API's schema, names that resolve within the folder, probes that can be answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate

from infra.validators.containers import Container, container_problems
from infra.validators.yaml_file import BrokenYamlError, read_documents

# Oldest version whose schema is asked; what it does not know is an error.
KUBERNETES_VERSION = "1.34"
KUSTOMIZATION = "kustomization.yaml"
# The Secret that an operator makes (docs/deployment/containers.md), and what it holds.
SECRET = "lakehouse"
SECRET_KEYS = frozenset({"postgres-password", "prefect-auth-string", "s3-access-key", "s3-secret-key"})
_KUSTOMIZATION_KEYS = frozenset({"apiVersion", "kind", "namespace", "labels", "resources", "images"})
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")

Manifest = Mapping[str, Any]


def problems(path: Path) -> list[str]:
    """What is wrong with a file of manifests, or with a kustomization, a line each; empty when it is valid."""
    try:
        documents = read_documents(path)
        if path.name == KUSTOMIZATION:
            (document,) = documents
            return list(_kustomization_problems(path.parent, document))
        beside = [manifest for file in _manifest_files(path.parent) for manifest in read_documents(file)]
    except BrokenYamlError as error:
        return [str(error)]
    found = [problem for document in documents for problem in _schema_problems(document)]
    return found or [problem for document in documents for problem in _reference_problems(document, beside)]


def containers(path: Path) -> list[Container]:
    """Every container of a file, init containers included."""
    return [
        _container(document, container)
        for document in read_documents(path)
        if (pod := _pod(document))
        for container in _pod_containers(pod)
    ]


def _schema_problems(document: Manifest) -> Iterator[str]:
    name = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
    try:
        kubernetes_validate.validate(dict(document), KUBERNETES_VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{name}: {'.'.join(map(str, error.path))}: {error.message}"
    except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError, KeyError) as error:
        yield f"{name}: Kubernetes {KUBERNETES_VERSION} knows no such kind: {error}"


def _reference_problems(document: Manifest, beside: list[Manifest]) -> Iterator[str]:
    name = f"{document['kind']} {document['metadata']['name']}"
    labels = [_pod_labels(other) for other in beside if _pod(other)]
    for selector in _selectors(document):
        if not any(selector.items() <= pod.items() for pod in labels):
            yield f"{name}: selects {dict(selector)}, which no pod of this folder carries"
    template = document.get("spec", {}).get("template")
    selector = document.get("spec", {}).get("selector", {}).get("matchLabels", {})
    if template and not selector.items() <= _pod_labels(document).items():
        yield f"{name}: selects {dict(selector)}, which its own pods do not carry"
    if pod := _pod(document):
        yield from _pod_problems(name, document, pod, beside)


def _pod_problems(name: str, document: Manifest, pod: Manifest, beside: list[Manifest]) -> Iterator[str]:
    claims = {other["metadata"]["name"] for other in beside if other["kind"] == "PersistentVolumeClaim"}
    volumes = {volume["name"] for volume in pod.get("volumes", ())}
    volumes |= {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", ())}
    for volume in pod.get("volumes", ()):
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim is not None and claim not in claims:
            yield f"{name}: claims {claim}, which no PersistentVolumeClaim of this folder is called"
    if not pod.get("securityContext", {}).get("runAsNonRoot"):
        yield f"{name}: may run as root; set securityContext.runAsNonRoot"
    for container in _pod_containers(pod):
        yield from container_problems(_container(document, container))
        yield from _mount_problems(name, container, volumes)
        yield from _probe_problems(name, container)
        yield from _secret_problems(name, container)


def _mount_problems(name: str, container: Manifest, volumes: set[str]) -> Iterator[str]:
    for mount in container.get("volumeMounts", ()):
        if mount["name"] not in volumes:
            yield f"{name}: container {container['name']} mounts {mount['name']}, which is no volume of its pod"
    if "limits" not in container.get("resources", {}):
        yield f"{name}: container {container['name']} has no resources.limits"


def _probe_problems(name: str, container: Manifest) -> Iterator[str]:
    ports = {value for port in container.get("ports", ()) for value in (port.get("name"), port["containerPort"])}
    for probe in _PROBES:
        asked = container.get(probe, {}).get("httpGet")
        if asked and asked["port"] not in ports:
            yield f"{name}: {probe} asks port {asked['port']}, which container {container['name']} does not open"


def _secret_problems(name: str, container: Manifest) -> Iterator[str]:
    for variable in container.get("env", ()):
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        if reference and (reference["name"] != SECRET or reference["key"] not in SECRET_KEYS):
            yield f"{name}: {variable['name']} reads {reference['name']}/{reference['key']}, which nobody makes"


def _kustomization_problems(folder: Path, document: Manifest) -> Iterator[str]:
    for key in document.keys() - _KUSTOMIZATION_KEYS:
        yield f"unknown key {key}; known here: {', '.join(sorted(_KUSTOMIZATION_KEYS))}"
    listed = set(document.get("resources", ()))
    there = {file.name for file in _manifest_files(folder)}
    for name in sorted(listed - there):
        yield f"resources: {name} is not there"
    for name in sorted(there - listed):
        yield f"resources: {name} is there and not listed"
    images = {image["name"] for image in document.get("images", ())}
    used = {(c.image or "").partition(":")[0] for name in sorted(listed & there) for c in containers(folder / name)}
    for name in sorted(images - used):
        yield f"images: no container runs {name}"


def _manifest_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.yaml") if file.name != KUSTOMIZATION)


def _pod(document: Manifest) -> Manifest | None:
    """The pod's specification of a Deployment, StatefulSet or Job."""
    pod: Manifest | None = document.get("spec", {}).get("template", {}).get("spec")
    return pod


def _pod_labels(document: Manifest) -> Mapping[str, str]:
    labels: Mapping[str, str] = document["spec"]["template"].get("metadata", {}).get("labels", {})
    return labels


def _pod_containers(pod: Manifest) -> list[Manifest]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def _selectors(document: Manifest) -> Iterator[Mapping[str, str]]:
    """Labels by which a Service, a disruption budget or a network policy picks pods of this folder."""
    spec = document.get("spec", {})
    if document["kind"] == "Service":
        yield spec.get("selector", {})
    if document["kind"] == "PodDisruptionBudget":
        yield spec["selector"].get("matchLabels", {})
    if document["kind"] == "NetworkPolicy":
        peers = [peer for rule in spec.get("ingress", ()) for peer in rule.get("from", ())]
        peers += [peer for rule in spec.get("egress", ()) for peer in rule.get("to", ())]
        for selector in [spec["podSelector"], *(p["podSelector"] for p in peers if "podSelector" in p)]:
            yield selector.get("matchLabels", {})
            for expression in selector.get("matchExpressions", ()):
                yield from ({expression["key"]: value} for value in expression.get("values", ()))


def _container(document: Manifest, container: Manifest) -> Container:
    return Container(
        f"{document['kind']} {document['metadata']['name']}, container {container['name']}",
        container["image"],
        tuple(str(word) for word in (*container.get("command", ()), *container.get("args", ()))),
        {variable["name"]: variable.get("value") for variable in container.get("env", ())},
    )
