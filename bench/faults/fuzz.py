"""Requests made up from the service's own OpenAPI document, valid and not: no answer breaks what the document says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.faults.service import Service, serving
from bench.measure import BenchError
from infra.ports import LOOPBACK
from lake.settings import PROJECT_ROOT

_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
# A request that is too slow is ended by the service within this.
_TIMEOUT = {"LAKEHOUSE_API__REQUEST_TIMEOUT_S": "5"}
_BUSY, _SERVER_ERROR = 503, 500


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What came of it.

    Args:
        requests: Sent.
        statuses: Answers by status.
        server_errors: Answers of 500 and above, but for 503.
        failures: What Schemathesis found wrong, in its words; empty when all answers conform.
        alive: Whether the service was ready afterwards in the same processes.
    """

    requests: int
    statuses: dict[int, int]
    server_errors: int
    failures: str
    alive: bool


def fuzz(folder: Path, *, examples: int, seed: int = 1) -> Fuzzed:
    """Drive Schemathesis, at most `examples` requests of each kind for every operation.

    Raises:
        BenchError: It could not run.
    """
    with serving(folder, _TIMEOUT, workers=2) as service:
        before = (service.workers(), service.writer())
        done, report = _schemathesis(service, folder, examples, seed)
        service.wait_until_ready()
        alive = before == (service.workers(), service.writer())
    statuses = _statuses(report)
    errors = sum(n for status, n in statuses.items() if status >= _SERVER_ERROR and status != _BUSY)
    failures = "" if done.returncode == 0 else done.stdout[-5000:] + done.stderr[-2000:]
    return Fuzzed(sum(statuses.values()), dict(sorted(statuses.items())), errors, failures, alive)


def _schemathesis(
    service: Service, folder: Path, examples: int, seed: int
) -> tuple[subprocess.CompletedProcess[str], Path]:
    report = folder / "requests.ndjson"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"http://{LOOPBACK}:{service.port}/openapi.json"),
        *("--checks", ",".join(_CHECKS), "--phases", "examples,coverage,fuzzing", "--continue-on-failure"),
        *("--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none"),
        *("--report", "ndjson", "--report-ndjson-path", str(report), "--warnings", "off", "--no-color"),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT_ROOT),
        "SCHEMATHESIS_HOOKS": "bench.faults.fuzz_hooks",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if not report.exists():
        raise BenchError(f"schemathesis failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done, report


def _statuses(report: Path) -> Counter[int]:
    """Status of every answer in a report, wherever it stands in an event."""
    counted: Counter[int] = Counter()
    for line in report.read_bytes().splitlines():
        _count(orjson.loads(line), counted)
    return counted


def _count(value: object, counted: Counter[int]) -> None:
    if isinstance(value, dict):
        status = value.get("status_code")
        if isinstance(status, int):
            counted[status] += 1
        for inner in value.values():
            _count(inner, counted)
    elif isinstance(value, list):
        for inner in value:
            _count(inner, counted)
