"""The load generator as a process of its own, so that it shares no interpreter with what it measures.

    python -m bench.ingest.load --port 8000 --form ndjson --rows 1000 --connections 16 --seconds 10 --json FIGURES

Writes the figures as JSON. SIGTERM ends the load early; what is out is waited for.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench.ingest.bodies import Bodies, Form, make_bodies
from bench.ingest.client import Load
from bench.ingest.figures import Figures
from bench.ingest.plan import Plan, Target


def run_load(load: Load) -> Figures:
    """Drive a load on an event loop of its own, until it ends or SIGTERM comes.

    Raises:
        OSError: No connection could be made at the start.
    """

    async def drive() -> Figures:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, load.stop)
        return await load.drive()

    return uvloop.run(drive())


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    key = os.environ.get(options.key_variable) if options.key_variable else None
    target = Target(options.host, options.port, options.path, key)
    bodies = make_bodies(Form(options.form), options.rows, options.seed)
    plan = Plan(
        options.connections,
        options.seconds,
        options.requests,
        options.versions,
        options.warmup_s,
        options.first,
        options.retry,
    )
    load = Load(target, bodies, plan)
    # Nothing here is cyclic garbage; a collection would only be seen as latency.
    gc.disable()
    figures = run_load(load)
    whole = {
        "acknowledged_rows": len(load.acknowledged) * bodies.rows,
        "sent": load.sent,
        "process_cpu_s": round(time.process_time(), 3),
    }
    options.json.write_text(json.dumps(figures.as_dict() | whole) + "\n", encoding="utf-8")
    if options.acknowledged:
        _write_acknowledged(load, bodies, options.acknowledged)


def _write_acknowledged(load: Load, bodies: Bodies, target: Path) -> None:
    """A line a row: its identifier, and the version its answer named."""
    with target.open("w", encoding="utf-8") as file:
        for number, version in load.acknowledged:
            file.writelines(f"{text} {version}\n" for text in bodies.identifiers(number))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.ingest.load", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, required=True)
    add("--path", help="endpoint [default: the service's own of the form]")
    add("--key-variable", help="environment variable that holds the API key")
    add("--form", choices=[form.value for form in Form], default=Form.ROW.value)
    add("--rows", type=int, default=1, help="rows of a batch")
    add("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"), help="of the identifiers [default: random]")
    add("--connections", type=int, default=64)
    add("--seconds", type=float, default=10.0)
    add("--requests", type=int, help="most requests")
    add("--versions", type=int, help="most versions of the table")
    add("--warmup-s", type=float, default=0.0, help="seconds at the start that are no part of the figures")
    add("--first", type=int, default=0, help="number of the first request")
    add("--retry", action="store_true", help="send again after a lost connection, a 429 or a 503")
    add("--json", type=Path, required=True, help="file for the figures")
    add("--acknowledged", type=Path, help="file for the identifiers that were answered with success")
    return parser


if __name__ == "__main__":
    main()
