"""Commands of the standing platform: up, down, deploy."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cli.output import answers, console, print_json, print_table
from lake.configuration import load_settings
from lake.errors import LakehouseError
from lake.settings import Settings

if TYPE_CHECKING:
    from infra.local.platform import Part, Platform

FIRST_KEY = "first"


def up(
    *,
    run: str | None = None,
    prefect_port: int = 4200,
    api_port: int | None = None,
    config: Path | None = None,
    json: bool = False,
) -> None:
    """Start Prefect's server, a worker and the HTTP service on this machine, deploy the flows, and leave them running.

    What runs already stays as it is. `./lakehouse down` ends what was started.

    Example: `./lakehouse up --run medallion/medallion`

    Parameters
    ----------
    run
        Deployment to run once, waiting for its end.
    prefect_port
        Port of Prefect's server and its pages.
    api_port
        Port of the HTTP service [default: api.port].
    config
        Configuration file.
    json
        Print what runs as JSON.
    """
    from infra.local.platform import up as start

    began = time.monotonic()
    settings = load_settings(config).with_api_port(api_port)
    key = _first_key(settings)
    with console.status("starting server, worker and HTTP service, and deploying"):
        platform = start(settings, config, prefect_port)
    ready = time.monotonic()
    state = _run_deployment(run) if run else None
    seconds = {"ready": round(ready - began, 1), "run": round(time.monotonic() - ready, 1)}
    if json:
        print_json(_as_dict(platform) | {"key": key, "seconds": seconds, "run": state})
    else:
        _print(platform, key, seconds, state)
    if state is not None and state["state"] != "COMPLETED":
        raise LakehouseError(f"{run} is {state['state']}: {state['message']}", where=str(state["url"]))


def down(*, json: bool = False) -> None:
    """End what `./lakehouse up` started here: worker, HTTP service (which commits what it accepted), server.

    Example: `./lakehouse down`

    Parameters
    ----------
    json
        Print the names of what was ended as JSON.
    """
    from infra.local.platform import down as stop

    ended = stop()
    if json:
        print_json(ended)
    else:
        answers.print(f"ended {', '.join(ended)}" if ended else "nothing runs here", highlight=False)


def deploy(*, config: Path | None = None, json: bool = False) -> None:
    """Tell a Prefect server of the flows: work pool, deployments, automations, one writer at a time.

    The server is that of `PREFECT_API_URL`, else the one `./lakehouse up` started. Doing it again changes what differs.

    Example: `PREFECT_API_URL=http://prefect.example.com:4200/api ./lakehouse deploy`

    Parameters
    ----------
    config
        Configuration file; flow.webhook is told of failed runs.
    json
        Print the deployments as JSON.
    """
    from tasks.prefect_server import require_server

    server = require_server()
    # Prefect reads its settings when it is imported.
    from infra.prefect.deploy import deploy_flows, prepare

    prepare(load_settings(config))
    deployments = deploy_flows()
    if json:
        print_json({"server": server, "deployments": deployments})
    else:
        print_table(f"Deployed to {server}", [{"deployment": name} for name in deployments])


def _first_key(settings: Settings) -> str | None:
    """A key to begin with where there is none yet; without one nobody could use the HTTP service."""
    from api.security.key_file import create_key
    from api.security.keys import Scope, now, read_keys

    path = settings.api.keys_file
    if settings.api.development or read_keys(path):
        return None
    _, text = create_key(path, FIRST_KEY, frozenset({Scope("ingest"), Scope("read")}), now())
    return text


def _run_deployment(name: str) -> dict[str, object]:
    """Run a deployment to its end.

    Raises:
        LakehouseError: There is none of that name.
    """
    from prefect.client.schemas.objects import FlowRun
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound

    try:
        with console.status(f"running {name}"):
            run = run_deployment(name, timeout=None, poll_interval=1, as_subflow=False)
            assert isinstance(run, FlowRun)  # a coroutine only where an event loop runs
    except (ObjectNotFound, ValueError):
        raise LakehouseError(
            f"no deployment {name!r}", where="--run", mend="medallion/medallion, for example; all: ./lakehouse deploy"
        ) from None
    server = os.environ["PREFECT_API_URL"].removesuffix("/api")
    state = run.state
    return {
        "name": run.name,
        "state": state.type.value if state else "UNKNOWN",
        "message": state.message if state else None,
        "url": f"{server}/runs/flow-run/{run.id}",
    }


def _as_dict(platform: Platform) -> dict[str, object]:
    return {
        "parts": [_row(part) | {"log": str(part.log)} for part in platform.parts],
        "deployments": platform.deployments,
    }


def _row(part: Part) -> dict[str, object]:
    return {
        "part": part.name,
        "address": part.address,
        "process": part.pid,
        "state": "started" if part.started else "was running",
    }


def _print(platform: Platform, key: str | None, seconds: dict[str, float], state: dict[str, object] | None) -> None:
    print_table("Running", [_row(part) for part in platform.parts], right=("process",))
    print_table("Deployed", [{"deployment": name} for name in platform.deployments])
    server = platform.parts[0].address
    if key is not None:
        answers.print(f"API key {FIRST_KEY} (kept nowhere, shown once): {key}", highlight=False, soft_wrap=True)
    if state is not None:
        answers.print(f"{state['name']}: {state['state']}   {state['url']}", highlight=False, soft_wrap=True)
    answers.print(f"pages: {server}   logs: {platform.parts[0].log.parent}", highlight=False, soft_wrap=True)
    answers.print(
        f"run a flow:  PREFECT_API_URL={server}/api .venv/bin/prefect deployment run medallion/medallion --watch",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    ran = f", the run took {seconds['run']} s" if state is not None else ""
    answers.print(f"[green]up[/] in {seconds['ready']} s{ran}; end it with: ./lakehouse down", highlight=False)
