"""Commands about the project itself: doctor, test, bench."""

from __future__ import annotations

import importlib.metadata
import json as json_module
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cli.output import answers, console, print_json, print_table
from lake.configuration import load_settings
from lake.errors import BadInputError, LakehouseError, MissingToolError
from lake.settings import PROJECT_ROOT
from spark.java import INSTALL_JAVA, find_java
from spark.session import INSTALL_ENGINES

_PACKAGES = ("prefect", "deltalake", "duckdb", "pyarrow", "polars", "sqlglot", "soda-core", "soda-duckdb")
_ENGINE_PACKAGES = ("pyspark", "delta-spark", "pysail", "snowflake-connector-python", "soda-sparkdf", "matplotlib")
_TEST_PACKAGES = ("pytest", "fakesnow", "ruff", "mypy")
# Tests of a file share servers, lakes and Spark sessions, each process its own Spark; long files come early by name.
_WHOLE_SUITE = ("-n", "logical", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `doctor`: what was looked at, what is there, what to type when it is not well."""

    item: str
    state: str
    found: str
    mend: str = ""


def doctor(*, config: Path | None = None, json: bool = False) -> None:
    """Say what is installed, what is missing and what to type.

    Example: `./lakehouse doctor`

    Parameters
    ----------
    config
        Configuration file.
    json
        Print as JSON.
    """
    findings = [
        Finding("python", "ok", sys.version.split()[0]),
        *(_package(name, "./lakehouse doctor   (reinstalls from the lock)") for name in _PACKAGES),
        *(_package(name, INSTALL_ENGINES, optional=True) for name in _ENGINE_PACKAGES),
        *(_package(name, "./lakehouse test", optional=True) for name in _TEST_PACKAGES),
        _java(),
        _r(),
        *_project(config),
    ]
    if json:
        print_json([asdict(f) for f in findings])
    else:
        print_table("Doctor", [asdict(f) for f in findings])
    if any(f.state == "missing" for f in findings):
        raise MissingToolError("something `lakehouse run` needs is missing", mend="see the table above")


def test(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
    """Lint, check types and run every test, Spark and Prefect included.

    Example: `./lakehouse test`, or one file: `./lakehouse test tests/lake -x`

    Parameters
    ----------
    arguments
        Handed to pytest; lint, types and several processes at once only when there are none.
    """
    checks: tuple[tuple[str, ...], ...] = (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "--quiet", "."),
        ("lint-imports",),
        ("mypy",),
    )
    for command in () if arguments else checks:
        console.print(f"[bold]{' '.join(command)}[/]", highlight=False)
        _require(_tool(command), command[0])
    console.print("[bold]pytest[/]")
    pytest = [sys.executable, "-m", "pytest", *(arguments or _WHOLE_SUITE)]
    sys.exit(subprocess.run(pytest, cwd=PROJECT_ROOT, check=False).returncode)


def bench(name: str, *, rows: int | None = None, json: Path | None = None) -> None:
    """Measure against peers in the same run; prints a table, on request writes JSON and, where there is one, a chart.

    Example: `./lakehouse bench medallion --rows 500000`

    Parameters
    ----------
    name
        detect, faults, feed, handbook, ingest, medallion, orchestration, soak or sql.
    rows
        Rows to measure at: events, transactions, commits or kills [default: the benchmark's own sizes].
    json
        File to write the figures to; a chart goes beside it as PNG.
    """
    from bench import BENCHMARKS

    if name not in BENCHMARKS:
        raise BadInputError(f"no benchmark {name!r}", mend=f"there is {', '.join(BENCHMARKS)}")
    figures = BENCHMARKS[name](rows)
    print_table(f"bench {name}", figures["table"], right=tuple(figures["table"][0])[1:])
    for line in figures["notes"]:
        answers.print(line, highlight=False)
    chart = figures.pop("chart", None)
    if json:
        if chart is not None:
            chart(json.with_suffix(".png"))
        json.write_text(json_module.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _package(name: str, mend: str, *, optional: bool = False) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "absent" if optional else "missing", "-", mend)


def _java() -> Finding:
    mend = f"{INSTALL_JAVA}; only the Spark engine needs it"
    java = find_java()
    if java is None:
        return Finding("java", "absent", "-", mend)
    return Finding("java", "ok", java.version) if java.is_new_enough else Finding("java", "too old", java.version, mend)


def _r() -> Finding:
    from tasks.notebook import require_r

    try:
        return Finding("r", "ok", require_r())
    except MissingToolError as error:
        return Finding("r", "absent", error.what, f"{error.mend}; only the notebook needs it")


def _project(config: Path | None) -> list[Finding]:
    """Configuration, contracts, models and the lake itself."""
    from lake.lake import Lake
    from sql.model import MODELS, load_models, order
    from tasks.contracts import lint_all

    findings = []
    try:
        settings = load_settings(config)
        findings.append(Finding("configuration", "ok", str(config or "configs/lakehouse.yaml")))
        Lake(settings.lake.root).check_format()
        findings.append(Finding("lake", "ok", str(settings.lake.root)))
    except LakehouseError as error:
        findings.append(Finding("configuration", "missing", str(error)))
    problems = lint_all()
    findings += [Finding("contract", "missing", f"{p.file}:{p.line}", p.message) for p in problems]
    findings.append(Finding("contracts", "ok" if not problems else "missing", f"{len(problems)} problems"))
    try:
        findings.append(Finding("models", "ok", str(len(order(load_models(MODELS))))))
    except LakehouseError as error:
        findings.append(Finding("models", "missing", str(error)))
    return findings


def _tool(command: tuple[str, ...]) -> list[str]:
    beside = Path(sys.executable).with_name(command[0])
    if not beside.exists():
        raise MissingToolError(f"{command[0]} is not installed", mend="./lakehouse test   (installs it)")
    return [str(beside), *command[1:]]


def _require(command: list[str], name: str) -> None:
    code = subprocess.run(command, cwd=PROJECT_ROOT, check=False).returncode
    if code != 0:
        console.print(f"[red]{name} found problems[/]")
        sys.exit(code)
