"""What the containers are told to run exists: each command of every template parses as its program parses it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cyclopts
import pytest
import yaml
from prefect.cli import app as prefect_app  # noqa: F401  (registers its commands)
from prefect.cli._app import _app as prefect_commands

from cli.main import app as lakehouse_commands
from infra.validate import INFRA
from infra.validators import cloudformation, compose, kubernetes
from infra.validators.containers import Container
from lake.settings import PROJECT_ROOT

PROGRAMS = {"prefect": prefect_commands, "cli": lakehouse_commands}
# Postgres' image brings its own command, versitygw's is not ours, and the bucket is made by a script.
OTHERS = {"postgres", "objects", "bucket"}


def containers() -> list[Container]:
    found = compose.containers(INFRA / "docker" / "compose.yaml")
    for path in sorted((INFRA / "kubernetes").glob("*.yaml")):
        if path.name != kubernetes.KUSTOMIZATION:
            found += kubernetes.containers(path)
    found += cloudformation.containers(INFRA / "aws" / "lakehouse.cloudformation.yaml")
    return [container for container in found if container.name.split()[-1] not in OTHERS]


def parse(command: Sequence[str]) -> None:
    python, m, program, *arguments = command
    assert (python, m) == ("python", "-m"), command
    PROGRAMS[program].parse_args(arguments, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("container", containers(), ids=lambda container: container.name)
def test_the_command_parses(container: Container) -> None:
    parse(container.command)


@pytest.mark.parametrize(
    "command",
    [
        ["python", "-m", "prefect", "worker", "start", "--pol", "lakehouse"],
        ["python", "-m", "prefect", "server", "database", "upgrade", "--yess"],
        ["python", "-m", "cli", "server"],
        ["python", "-m", "cli", "serve", "--port", "http"],
        ["python", "-m", "cli", "serve", "--hots", "0.0.0.0"],
    ],
)
def test_a_misspelt_command_does_not_parse(command: list[str]) -> None:
    with pytest.raises(cyclopts.CycloptsError):
        parse(command)


@pytest.mark.parametrize("page", ["containers.md", "aws.md"])
def test_the_commands_of_the_runbook_parse(page: str) -> None:
    text = (PROJECT_ROOT / "docs" / "deployment" / page).read_text(encoding="utf-8")
    commands = re.findall(r"python -m (?:cli|prefect) [\w./ -]+", text)
    assert len(commands) >= 5
    for command in commands:
        parse(command.split())


def test_every_template_runs_the_same_parts() -> None:
    names = {container.name.split()[-1] for container in containers()}
    assert names == {"migrate", "prefect", "deploy", "worker", "api"}
    assert len(containers()) == 3 * len(names)


def test_workers_take_their_runs_from_the_pool_that_flows_are_deployed_to() -> None:
    deployments = yaml.safe_load((PROJECT_ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    pools = {deployment["work_pool"]["name"] for deployment in deployments}
    workers = {c.command[c.command.index("--pool") + 1] for c in containers() if "--pool" in c.command}
    assert workers == pools == {"lakehouse"}


def test_prefect_makes_the_databases_address_of_its_parts(tmp_path: Path) -> None:
    found = kubernetes.containers(INFRA / "kubernetes" / "prefect.yaml")
    found += cloudformation.containers(INFRA / "aws" / "lakehouse.cloudformation.yaml")
    first, *others = (parts for container in found if (parts := _database_parts(container)))
    assert others == [first] * 3  # migrations and server, twice
    assert _connection_url(first, tmp_path) == "postgresql+asyncpg://prefect:s3cret@postgres:5432/prefect"


def _database_parts(container: Container) -> dict[str, str]:
    # What is known only where it is deployed.
    later = {"HOST": "postgres", "PORT": "5432", "PASSWORD": "s3cret"}
    return {
        name: value or later[name.rpartition("_")[2]]
        for name, value in container.environment.items()
        if name.startswith("PREFECT_SERVER_DATABASE_") and not name.endswith("MIGRATE_ON_START")
    }


def _connection_url(environment: dict[str, str], home: Path) -> str:
    code = (
        "from prefect.settings import get_current_settings as now;"
        "print(now().server.database.connection_url.get_secret_value())"
    )
    return subprocess.run(
        [sys.executable, "-c", code], env={"PREFECT_HOME": str(home), **environment}, capture_output=True, text=True,
        check=True,
    ).stdout.strip()  # fmt: skip


def test_one_version_is_named_everywhere() -> None:
    project = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'^version = "(.+)"$', project, re.MULTILINE)
    ours = {c.image for c in containers() if c.image and c.image.startswith("lakehouse-")}
    assert ours == {f"lakehouse-service:{version}", f"lakehouse-worker:{version}"}
