"""Commands of the HTTP service: serve, and the keys it lets in."""

from __future__ import annotations

import os
import signal
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App, Parameter

from api.security.keys import Scope
from cli.output import answers, console, print_json, print_table
from lake.configuration import CONFIG_VARIABLE, ENV_PREFIX, load_settings
from lake.errors import BadInputError, ConfigurationError
from lake.settings import Settings

if TYPE_CHECKING:
    from api.security.keys import ApiKey

_BACKLOG = 2_048
_KEEP_ALIVE_S = 30
# What uvicorn's supervisor needs to end its workers after they have drained.
_SHUTDOWN_MARGIN_S = 5

keys_app = App(
    name="keys",
    help="API keys of the HTTP service: create, list, revoke.",
    help_format="markdown",
    default_parameter=Parameter(negative=()),
)


def serve(
    *,
    workers: int | None = None,
    host: str | None = None,
    port: int | None = None,
    development: bool = False,
    config: Path | None = None,
) -> None:
    """Serve the lake over HTTP: rows in, anomalies and figures out. SIGTERM ends it after all accepted rows are kept.

    Example: `./lakehouse serve --workers 2`, or without keys on this machine `./lakehouse serve --development`

    Parameters
    ----------
    workers
        HTTP processes; one more writes [default: api.workers].
    host
        Address to listen at [default: api.host].
    port
        Port to listen at [default: api.port].
    development
        Ask for no key; only this machine may connect.
    config
        Configuration file; sections `api` and `ingest`.
    """
    _hand_over({"WORKERS": workers, "HOST": host, "PORT": port, "DEVELOPMENT": development or None}, config)
    settings = load_settings()
    _refuse_to_start(settings)
    import uvicorn

    from api.http_protocol import BoundedHttp

    # uvicorn drains on SIGTERM and then raises it once more: an orderly end is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.run(
        "api.main:app",
        host=settings.api.host,
        port=settings.api.port,
        workers=settings.api.workers,
        loop="uvloop",
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        # Whom to believe about the caller's address is not known here; nothing is decided by it.
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(settings.ingest.drain_s) + _SHUTDOWN_MARGIN_S,
    )


def _hand_over(options: dict[str, object], config: Path | None) -> None:
    """Put options where worker processes find their settings: into the environment."""
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config.resolve())
    for name, value in options.items():
        if value is not None:
            os.environ[f"{ENV_PREFIX}API__{name}"] = str(value).lower() if isinstance(value, bool) else str(value)


def _refuse_to_start(settings: Settings) -> None:
    """Say before any process starts what would keep it from serving.

    Raises:
        ConfigurationError: Everybody or nobody could get in, or the address cannot be listened at.
        LakehouseError: The keys or the lake cannot be used.
    """
    from api.main import no_keys, refuse_open_door
    from api.security.guard import is_loopback
    from api.security.keys import read_keys
    from lake.lake import Lake

    refuse_open_door(settings)
    if not settings.api.development and not read_keys(settings.api.keys_file):
        raise no_keys(settings)
    Lake(settings.lake.root).prepare()
    _try_address(settings.api.host, settings.api.port)
    if not is_loopback(settings.api.host):
        console.print(
            f"listening at {settings.api.host} without TLS: keys and rows can be read on the way; "
            "put a proxy that ends TLS in front",
            highlight=False,
        )


def _try_address(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen at {host}:{port}: {error.strerror or error}",
            where="api.port",
            mend="stop what listens there, or choose another with --port",
        ) from None


@keys_app.command
def create(
    name: str,
    *,
    scope: tuple[Scope, ...] = (),
    expires_days: int | None = None,
    requests_per_second: float | None = None,
    config: Path | None = None,
    json: bool = False,
) -> None:
    """Make a key. It is shown once and kept nowhere.

    Example: `./lakehouse keys create till-7 --scope ingest --scope read`

    Parameters
    ----------
    name
        For people; unique among keys that are not revoked.
    scope
        ingest, read or admin (everything); may be given several times.
    expires_days
        Days until it lets nobody in [default: never].
    requests_per_second
        Its own limit [default: api.requests_per_second].
    config
        Configuration file; api.keys_file says where keys are kept.
    json
        Print as JSON.
    """
    from api.security.key_file import create_key
    from api.security.keys import now

    at = now()
    path = load_settings(config).api.keys_file
    expires_at = None if expires_days is None else _after_days(at, expires_days)
    key, text = create_key(
        path, name, frozenset(scope), at, expires_at=expires_at, requests_per_second=requests_per_second
    )
    if json:
        print_json(_as_dict(key, at) | {"key": text})
        return
    answers.print(text, highlight=False, soft_wrap=True)
    console.print(
        f"key {key.id} ({key.name}) may {' and '.join(sorted(key.scopes))}; keep it now, it is not shown again",
        highlight=False,
    )


@keys_app.command(name="list")
def list_keys(*, config: Path | None = None, json: bool = False) -> None:
    """List keys: who, what they may do, whether they still let anybody in.

    Example: `./lakehouse keys list`

    Parameters
    ----------
    config
        Configuration file.
    json
        Print as JSON.
    """
    from api.security.keys import now, read_keys

    at = now()
    keys = read_keys(load_settings(config).api.keys_file)
    rows = [_as_dict(key, at) for key in keys]
    if json:
        print_json(rows)
    elif rows:
        print_table(
            "Keys", [{**row, "scopes": " ".join(sorted(key.scopes))} for key, row in zip(keys, rows, strict=True)]
        )
    else:
        answers.print("no keys yet; make one with: ./lakehouse keys create NAME --scope ingest", highlight=False)


@keys_app.command
def revoke(key: str, *, config: Path | None = None) -> None:
    """Let nobody in with a key any more; running services know within a second.

    Example: `./lakehouse keys revoke k3x9ab2c`

    Parameters
    ----------
    key
        Its id, as `keys list` shows it.
    config
        Configuration file.
    """
    from api.security.key_file import revoke_key
    from api.security.keys import now

    revoked = revoke_key(load_settings(config).api.keys_file, key, now())
    answers.print(f"key {revoked.id} ({revoked.name}) lets nobody in any more", highlight=False)


def _after_days(at: datetime, days: int) -> datetime:
    try:
        return at + timedelta(days=days)
    except OverflowError:
        raise BadInputError(f"{days} days are too many", where="--expires-days") from None


def _as_dict(key: ApiKey, at: datetime) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "state": key.state(at).value,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "requests_per_second": key.requests_per_second,
    }
