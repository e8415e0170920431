"""Commands that bring the lake up to date: run, generate, land, build, export."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.output import StepTimes, answers, console, human_bytes, print_json, print_table, progress
from lake.configuration import load_settings
from lake.errors import BadInputError
from lake.settings import EngineName, Settings
from lake.table import Layer
from lake.tables import BRONZE, COMPANY_SILVER, MARTS
from tasks.prefect_server import PrefectServer
from tasks.step_counts import MEDALLION_STEPS

if TYPE_CHECKING:
    from tasks.artifacts import RunSummary
    from tasks.layers import LayerResult


def run(
    *, config: Path | None = None, at: datetime | None = None, engine: EngineName | None = None, json: bool = False
) -> None:
    """Generate, land, build, check, publish and export: the whole lake, as a Prefect flow.

    Running again changes only what new files or changed models call for.

    Example: `./lakehouse run`, or with the models on SQLite `./lakehouse run --engine sqlite`

    Parameters
    ----------
    config
        Configuration file [default: configs/lakehouse.yaml].
    at
        The run's time with a zone, such as 2026-01-31T08:00+00:00 [default: now].
    engine
        Who runs the models [default: engine.name of the configuration].
    json
        Print the summary as JSON.
    """
    settings = load_settings(config)
    began = time.monotonic()
    times = StepTimes.start()
    with progress(MEDALLION_STEPS, "starting Prefect"), PrefectServer() as server:
        from flows.medallion import medallion

        server.wait_until_healthy()
        ready = time.monotonic()
        summary = medallion(config=config, at=at, engine=engine)
    took = time.monotonic() - began
    if json:
        print_json(summary_as_json(summary, took) | {"steps": times.steps})
        return
    print_summary(summary, settings)
    answers.print(f"[green]done[/] in {took:.1f} s (starting Prefect {ready - began:.1f} s)", highlight=False)


def generate(
    *, config: Path | None = None, output: Path | None = None, file_format: str = "parquet", json: bool = False
) -> None:
    """Write the generated company's files, by default into the inbox.

    Example: `./lakehouse generate --output /tmp/company --file-format csv`

    Parameters
    ----------
    config
        Configuration file; section `generate` holds seed, scale and share of dirt.
    output
        Directory, with a folder per table [default: the inbox].
    file_format
        parquet, csv or jsonl.
    json
        Print what was written as JSON.
    """
    from tasks.generation import FORMATS
    from tasks.generation import generate as write_sources
    from tasks.sources import TENTHS, log_tenths

    settings = load_settings(config)
    if file_format not in FORMATS:
        raise BadInputError(f"unknown file format {file_format!r}", where="--file-format", mend=" or ".join(FORMATS))
    target = output or settings.land.inbox
    with progress(TENTHS, "generating"):
        report = write_sources(settings.generate, target, file_format=file_format, progress=log_tenths())
    if not report.written:
        console.print(f"{target}: the same company lies here already; nothing was written", highlight=False)
    rows = [{"table": name, "rows": count} for name, count in report.rows.items()]
    if json:
        print_json(rows)
    else:
        print_table("Generated", [{**r, "rows": f"{r['rows']:,}"} for r in rows], right=("rows",))


def land(*, config: Path | None = None, json: bool = False) -> None:
    """Land new files of the inbox as bronze, and admit rows that came over HTTP, without Prefect.

    Drop CSV, JSON lines or Parquet into `data/inbox/<table>/` first. A file lands once, whatever its name.

    Example: `cp spend.csv data/inbox/marketing_spend/ && ./lakehouse land`

    Parameters
    ----------
    config
        Configuration file.
    json
        Print the row balance as JSON.
    """
    from tasks.admit import admit_layer
    from tasks.layers import land_layer
    from tasks.workspace import new_run, writing

    settings = load_settings(config)
    with progress(2 * len(BRONZE) + 3, "landing"), writing(settings, new_run()) as workspace:
        landed = land_layer(workspace)
        admitted = admit_layer(workspace)
    print_layers((landed, admitted), json)


def build(*, config: Path | None = None, engine: EngineName | None = None, json: bool = False) -> None:
    """Build the company's silver and gold from what has landed, without Prefect.

    Example: `./lakehouse build`, or on Spark's SQL without Java: `./lakehouse build --engine sail`

    Parameters
    ----------
    config
        Configuration file.
    engine
        Who runs the models [default: engine.name of the configuration].
    json
        Print the row balance as JSON.
    """
    from tasks.guest_engine import guest_engine
    from tasks.layers import build_layer
    from tasks.workspace import new_run, writing

    settings = load_settings(config).with_engine(engine)
    with (
        progress(2 * len(COMPANY_SILVER + MARTS) + 2, "building"),
        writing(settings, new_run()) as workspace,
        guest_engine(workspace) as guest,
    ):
        results = tuple(build_layer(workspace, tables, guest) for tables in (COMPANY_SILVER, MARTS))
    print_layers(results, json)


def export(*, config: Path | None = None, json: bool = False) -> None:
    """Write every mart and the quality report to the export directory.

    Example: `LAKEHOUSE_EXPORT__FORMATS='[csv, parquet]' ./lakehouse export`

    Parameters
    ----------
    config
        Configuration file; section `export` holds directory and formats.
    json
        Print the files as JSON.
    """
    from tasks.export import export_marts
    from tasks.report import REPORT_NAME, write_quality_report
    from tasks.workspace import Workspace, new_run

    workspace = Workspace(load_settings(config), new_run())
    files = [*export_marts(workspace)]
    write_quality_report(workspace)
    files.append(workspace.settings.export.directory / REPORT_NAME)
    if json:
        print_json([str(f) for f in files])
    else:
        print_table("Exported", [{"file": f, "size": human_bytes(f.stat().st_size)} for f in files], right=("size",))


def summary_as_json(summary: RunSummary, seconds: float) -> dict[str, object]:
    """What a flow did, for programs."""
    return {
        "run_id": summary.run_id,
        "seconds": round(seconds, 2),
        "tables": [{"table": t.table, "rows": t.rows, "version": t.version, "gate": t.outcome} for t in summary.tables],
        "balance": [row for layer in summary.layers for row in _balances(layer)],
        "exports": [str(path) for path in summary.exports],
        "headlines": [asdict(line) for line in summary.headlines],
    }


def print_summary(summary: RunSummary, settings: Settings) -> None:
    """What a flow did, for people."""
    print_layers(summary.layers, json=False)
    rows = [
        {"mart": t.table, "rows": f"{t.rows:,}", "version": t.version, "gate": t.outcome}
        for t in summary.tables
        if t.layer == Layer.GOLD
    ]
    print_table("Gold", rows, right=("rows", "version"))
    if summary.headlines:
        print_table("What the marts say", [asdict(line) for line in summary.headlines], right=("value",))
    console.print(f"lake: {settings.lake.root}   exports and quality report: {settings.export.directory}")


def print_layers(layers: tuple[LayerResult, ...], json: bool) -> None:
    """Where the rows of each table went, as a table or as JSON."""
    rows = [row for layer in layers for row in _balances(layer)]
    if json:
        print_json(rows)
    elif rows:
        numbers = ("received", "published", "duplicates", "quarantined")
        shown = [{k: f"{v:,}" if k in numbers else v for k, v in row.items()} for row in rows]
        print_table("Rows: received = published + duplicates + quarantined", shown, right=numbers)
    else:
        answers.print("nothing new: every table is up to date")


def _balances(layer: LayerResult) -> list[dict[str, object]]:
    return [
        {
            "table": name,
            "received": candidate.balance.received,
            "published": candidate.balance.published,
            "duplicates": candidate.balance.duplicates,
            "quarantined": candidate.balance.quarantined,
            "gate": layer.gates[name].outcome.value,
        }
        for name, candidate in layer.candidates.items()
    ]
