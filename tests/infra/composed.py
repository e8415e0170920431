"""compose.yaml without Docker: its files, commands and variables, a real Postgres, loopback ports, no root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from infra.ports import free_port
from infra.validate import INFRA
from lake.settings import PROJECT_ROOT
from tests.standing import standing

# The user of the images; initdb wants one that the machine knows.
USER, POSTGRES_USER = 10001, 65534
WAIT_S = 120
SECRETS = {"POSTGRES_PASSWORD": "p4ssw0rd", "PREFECT_AUTH_STRING": "somebody:s3cret"}


def postgres_binaries() -> Path | None:
    """Folder of `initdb` and `postgres`, the newest installed; None where Debian's package postgresql is missing."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return next((path for path in reversed(found) if (path / "postgres").exists()), None)


@dataclass
class Composed:
    """What the containers would be.

    Args:
        folder: The image's files below `image`, as a build puts them there; written only below `image/data` and `tmp`.
        services: Of compose.yaml.
        ports: Of Postgres, Prefect's server and the HTTP service, on loopback.
    """

    folder: Path
    services: dict[str, Any]
    ports: dict[str, int] = field(default_factory=lambda: {n: free_port() for n in ("postgres", "prefect", "api")})

    @property
    def image(self) -> Path:
        return self.folder / "image"

    def prepare(self) -> None:
        """Copy what the build's context holds; only data and temporary files belong to the user."""
        for name in re.findall(r"^!(\S+?)/?$", (PROJECT_ROOT / ".dockerignore").read_text(encoding="utf-8"), re.M):
            source = PROJECT_ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.image / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, self.image / name)
        for name, user in (("image/data", USER), ("tmp", USER), ("postgres", POSTGRES_USER)):
            (self.folder / name).mkdir()
            if os.getuid() == 0:
                os.chown(self.folder / name, user, user)
        self.folder.chmod(0o755)

    def environment(self, service: str) -> dict[str, str]:
        """Variables of a service, its neighbours found on loopback."""
        written = {name: self._filled_in(str(value)) for name, value in self.services[service]["environment"].items()}
        # No object store is started here: the mirror has tests of its own.
        kept = {k: v for k, v in written.items() if not k.startswith(("LAKEHOUSE_MIRROR", "AWS_"))}
        tmp = str(self.folder / "tmp")
        image = {"PYTHONPATH": str(self.image), "HOME": tmp, "TMPDIR": tmp, "PREFECT_HOME": f"{tmp}/prefect"}
        return {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", **image, **kept}

    def command(self, service: str) -> list[str]:
        words = [word.replace("0.0.0.0", "127.0.0.1") for word in self.services[service]["command"]]
        if "--port" in words:
            words[words.index("--port") + 1] = str(self.ports[service])
        return [sys.executable, *words[1:]]

    def run(self, service: str, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a one-shot service to its end and require exit code 0."""
        done = subprocess.run(
            command or self.command(service), cwd=self.image, env=self.environment(service), **_as(USER),
            capture_output=True, text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{service}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    @contextmanager
    def running(self, service: str, ready: Callable[[], bool], **variables: str) -> Iterator[None]:
        """A standing service, from the moment its health check passes."""
        environment = {**self.environment(service), **variables}
        log = self.folder / f"{service}.log"
        with standing(self.command(service), log, ready, cwd=self.image, env=environment, **_as(USER)):
            yield

    @contextmanager
    def postgres(self, binaries: Path) -> Iterator[None]:
        """A private cluster with user, database and password of compose.yaml."""
        data, password = self.folder / "postgres" / "data", self.folder / "password"
        password.write_text(SECRETS["POSTGRES_PASSWORD"], encoding="utf-8")
        written = self.services["postgres"]["environment"]
        user, database = written["POSTGRES_USER"], written["POSTGRES_DB"]
        environment = {"PATH": f"{binaries}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGPASSWORD": password.read_text()}
        make = [str(binaries / "initdb"), "--pgdata", str(data), "--username", user, "--auth", "scram-sha-256"]
        port = str(self.ports["postgres"])

        def asked(*command: str) -> bool:
            place = ["--host", "127.0.0.1", "--port", port, "--username", user]
            done = subprocess.run([str(binaries / command[0]), *place, *command[1:]], env=environment, check=False,
                                  capture_output=True)  # fmt: skip
            return done.returncode == 0

        made = subprocess.run([*make, "--pwfile", str(password)], env=environment, capture_output=True, text=True,
                              check=False, **_as(POSTGRES_USER))  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        start = [str(binaries / "postgres"), "-D", str(data), "-p", port, "-h", "127.0.0.1", "-k", str(data)]
        log, nobody = self.folder / "postgres.log", _as(POSTGRES_USER)
        with standing(start, log, lambda: asked("pg_isready"), cwd=data, env=environment, **nobody):
            assert asked("createdb", database)
            yield

    def _filled_in(self, text: str) -> str:
        text = re.sub(r"\$\{(\w+):[?-][^}]*\}", lambda match: SECRETS.get(match[1], "unused"), text)
        text = text.replace("postgres:5432", f"127.0.0.1:{self.ports['postgres']}")
        # The container's own temporary files.
        text = text.replace("/tmp/", f"{self.folder / 'tmp'}/")
        return re.sub(r"http://(prefect|127\.0\.0\.1):4200", f"http://127.0.0.1:{self.ports['prefect']}", text)


def _as(user: int) -> dict[str, Any]:
    """Nobody runs a container, or Postgres, as root; without root's rights one stays who one is."""
    mine = os.getuid() != 0 or (user == USER and not _may_run_python(user))
    return {} if mine else {"user": user, "group": user, "extra_groups": []}


@cache
def _may_run_python(user: int) -> bool:
    """Whether another user enters the folder that this interpreter lies in; root's own home is closed to others."""
    try:
        subprocess.run([sys.executable, "-c", ""], user=user, group=user, extra_groups=[], cwd="/", check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@contextmanager
def composed() -> Iterator[Composed]:
    """The services of compose.yaml, prepared and not started."""
    services = yaml.safe_load((INFRA / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    # Not below pytest's folder, which only its owner enters.
    with tempfile.TemporaryDirectory(prefix="lakehouse-composed-") as folder:
        platform = Composed(Path(folder), services)
        platform.prepare()
        yield platform
