"""Breaking Dockerfile, Compose file or env file turns the tests red: each way of breaking one is reported."""

from __future__ import annotations

import pytest

from infra.validate import INFRA
from infra.validators import compose
from infra.validators.containers import is_exact
from tests.infra.conftest import Break

DOCKERFILE, COMPOSE, ENV_FILE = "docker/Dockerfile", "docker/compose.yaml", "docker/example.env"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ARG PYTHON=python:3.11.14-slim-bookworm", "ARG PYTHON=python:latest", "no exact version"),
        ("ARG PYTHON=python:3.11.14-slim-bookworm", "ARG PYTHON=python", "no exact version"),
        ("USER 10001:10001", "USER root", "runs as root"),
        ("USER 10001:10001\n", "", "runs as root"),
        ("HEALTHCHECK --interval=15s", "HEALTHCHEK --interval=15s", "unexpected 'H'"),
        ("COPY --from=install /opt/venv", "COPY --from=instal /opt/venv", "DL3022"),
        ("WORKDIR /opt/lakehouse", "WORKDIR opt/lakehouse", "DL3000"),
        ("EXPOSE 4200 8000", "EXPOSE 4200 80000", "DL3011"),
        ("RUN python -m compileall", "RUN sudo python -m compileall", "DL3004"),
    ],
)
def test_a_broken_dockerfile_is_reported(broken: Break, old: str, new: str, said: str) -> None:
    assert said in "\n".join(broken(DOCKERFILE, old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    restart: unless-stopped", "    restrat: unless-stopped", "restrat"),
        ("  postgres: {}", "  postgres: [a]", "postgres"),
        ("stop_grace_period: 60s", "stop_grace_period: 60", "60 is not of type 'string'"),
        ("{condition: service_healthy}", "{condition: service_ready}", "depends_on"),
        ("      migrate: {condition", "      migration: {condition", "depends on migration"),
        ('volumes: ["lake:/opt', 'volumes: ["lak:/opt', "mounts lak"),
        ('ports: ["127.0.0.1:8000:8000"]', 'ports: ["8000:8000"]', "open to other machines"),
        ('ports: ["127.0.0.1:8000:8000"]', 'ports: ["0.0.0.0:8000:8000"]', "open to other machines"),
        ("image: postgres:17.6-bookworm", "image: postgres:latest", "no exact version"),
        ("image: postgres:17.6-bookworm", "image: postgres", "no exact version"),
        (
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY",
            "PREFECT_FLOW_HEARTBEAT_FREQUENCY",
            "no setting of the installed Prefect",
        ),
        ("LAKEHOUSE_MIRROR__TO", "LAKEHOUSE_MIRROR__TOO", "LAKEHOUSE_MIRROR__TOO"),
        ("services:\n", "services:\n  - ", "line "),
    ],
)
def test_a_broken_compose_file_is_reported(broken: Break, old: str, new: str, said: str) -> None:
    assert said in "\n".join(broken(COMPOSE, old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("POSTGRES_PASSWORD=\n", "POSTGRES_PASSWORD=postgres\n", "POSTGRES_PASSWORD has a value"),
        ("S3_BUCKET=\n", "", "S3_BUCKET is missing"),
        ("S3_BUCKET=\n", "S3_BUKCET=\n", "S3_BUKCET is asked for by nothing"),
        ("S3_BUCKET=\n", "S3_BUCKET\n", "not NAME=value"),
    ],
)
def test_a_broken_env_file_is_reported(broken: Break, old: str, new: str, said: str) -> None:
    assert said in "\n".join(broken(ENV_FILE, old, new))


def test_a_setting_with_an_impossible_value_is_reported(broken: Break) -> None:
    found = broken(COMPOSE, "    environment: *quiet", '    environment: {LAKEHOUSE_API__PORT: "80000"}')
    assert len(found) == 1
    assert "LAKEHOUSE_API__PORT" in found[0]
    assert "65535" in found[0]


def test_no_container_may_be_reached_from_another_machine_or_carries_a_password() -> None:
    text = (INFRA / COMPOSE).read_text(encoding="utf-8")
    assert text.count("127.0.0.1:") >= 3
    for container in compose.containers(INFRA / COMPOSE):
        known = {k: v for k, v in container.environment.items() if v is not None}
        assert not [k for k in known if any(word in k for word in ("PASSWORD", "SECRET", "AUTH_STRING"))], (
            container.name
        )


@pytest.mark.parametrize(
    ("image", "exact"),
    [
        ("postgres:17.6", True),
        ("registry.example.com:5000/lakehouse:0.1.0", True),
        ("postgres:17.6@sha256:" + "0" * 64, True),
        ("postgres", False),
        ("postgres:latest", False),
        ("registry.example.com:5000/lakehouse", False),
    ],
)
def test_an_image_is_exact_when_its_tag_names_a_version(image: str, exact: bool) -> None:
    assert is_exact(image) is exact
