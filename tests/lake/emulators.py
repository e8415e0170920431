"""Object stores on loopback: moto's S3 server and Azurite, both speaking the real protocols."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

import httpx
from moto.server import ThreadedMotoServer

from infra.ports import free_port, is_listening
from tests.missing import missing
from tests.standing import standing

AZURITE_LOCK = Path(__file__).parent / "azurite"
ACCOUNT = "lakehouse"
ACCOUNT_KEY = base64.b64encode(b"a key of the tests, known to all").decode()
S3_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
AZURE_ENVIRONMENT = {"AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY}
_AZURE_VERSION = "2021-12-02"
_INSTALL_S = 250


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of an S3 server that forgets everything in the end."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def make_bucket(endpoint: str, name: str) -> None:
    # The emulator asks for no signature.
    httpx.put(f"{endpoint}/{name}").raise_for_status()


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """The address of Azurite's blob service, which keeps its blobs in a folder."""
    port = free_port()
    main = _installed() / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    command = ["node", str(main), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    accounts = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"}
    with standing(
        [*command, *options], folder / "azurite.log", lambda: is_listening(port), env={**os.environ, **accounts}
    ):
        yield f"http://127.0.0.1:{port}/{ACCOUNT}"


def make_container(endpoint: str, name: str) -> None:
    """Azure Storage's Create Container, signed with the account's key ("Authorize with Shared Key")."""
    moment = formatdate(usegmt=True)
    headers = {"x-ms-date": moment, "x-ms-version": _AZURE_VERSION}
    signed = f"x-ms-date:{moment}\nx-ms-version:{_AZURE_VERSION}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    text = "PUT" + "\n" * 12 + signed
    digest = hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    httpx.put(f"{endpoint}/{name}?restype=container", headers=headers).raise_for_status()


def _installed() -> Path:
    """Azurite as its lock file has it, installed once for each state of that file."""
    if shutil.which("npm") is None:
        missing("npm, which brings Azure's emulator,")
    content = (AZURITE_LOCK / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lakehouse-tests"
    target = cache / f"azurite-{hashlib.sha256(content).hexdigest()[:16]}"
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as unfinished:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(AZURITE_LOCK / name, unfinished)
            subprocess.run(
                ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=unfinished, check=True, capture_output=True, timeout=_INSTALL_S,
            )  # fmt: skip
            shutil.copytree(unfinished, target.with_suffix(".new"), symlinks=True, dirs_exist_ok=True)
            target.with_suffix(".new").rename(target)
    return target
