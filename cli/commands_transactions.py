"""Commands for card transactions: run, generate, detect, evaluate."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App, Parameter

from cli.commands_run import print_layers, print_summary, summary_as_json
from cli.output import StepTimes, answers, console, human_bytes, print_json, print_table, progress
from lake.configuration import load_settings
from lake.settings import DetectEngineName
from lake.tables import ANOMALIES
from tasks.prefect_server import PrefectServer
from tasks.step_counts import TRANSACTIONS_STEPS

if TYPE_CHECKING:
    from tasks.evaluation import Estimate, Evaluation

app = App(
    name="transactions",
    help="Card transactions: generate, land, detect anomalies, and say how well that went.",
    help_format="markdown",
    default_parameter=Parameter(negative=()),
)


@app.command
def run(
    *,
    count: int | None = None,
    engine: DetectEngineName | None = None,
    config: Path | None = None,
    at: datetime | None = None,
    json: bool = False,
) -> None:
    """Generate, land, check, detect, publish, export and evaluate, as a Prefect flow.

    Example: `./lakehouse transactions run --count 10000000`, or on Spark `./lakehouse transactions run --engine spark`

    Parameters
    ----------
    count
        Transactions to generate [default: transactions.count of the configuration].
    engine
        spark, connect or sail [default: detect.engine; spark where Java is found, else sail].
    config
        Configuration file.
    at
        The run's time with a zone [default: now].
    json
        Print the summary as JSON.
    """
    settings = load_settings(config).with_transactions(count, engine)
    began = time.monotonic()
    times = StepTimes.start()
    with progress(TRANSACTIONS_STEPS, "starting Prefect"), PrefectServer() as server:
        from flows.transactions import transactions

        server.wait_until_healthy()
        summary, evaluation = transactions(config=config, at=at, count=count, engine=engine)
    took = time.monotonic() - began
    if json:
        print_json(summary_as_json(summary, took) | {"evaluation": _as_json(evaluation), "steps": times.steps})
        return
    print_summary(summary, settings)
    if evaluation is not None:
        _print_evaluation(evaluation)
    answers.print(f"[green]done[/] in {took:.1f} s", highlight=False)


@app.command
def generate(
    *,
    count: int | None = None,
    output: Path = Path("data/transactions.parquet"),
    config: Path | None = None,
    json: bool = False,
) -> None:
    """Write generated transactions to a file, and beside it what was injected into them.

    Drop the file into `data/inbox/transactions/` to land it; `transactions run` lands generated ones by itself.

    Example: `./lakehouse transactions generate --count 10000000 --output data/transactions.csv`

    Parameters
    ----------
    count
        Transactions [default: transactions.count of the configuration].
    output
        File that ends in .csv or .parquet.
    config
        Configuration file; section `transactions` holds seed, days and shares.
    json
        Print what was written as JSON.
    """
    from tasks.sources import TENTHS, log_tenths
    from tasks.transactions import generate_file

    settings = load_settings(config).with_transactions(count, None)
    with progress(TENTHS, "generating"):
        written = generate_file(settings.transactions, output, log_tenths("transactions"))
    if json:
        print_json({**asdict(written), "path": str(written.path), "truth_path": str(written.truth_path)})
        return
    files = [{"file": p, "size": human_bytes(p.stat().st_size)} for p in (written.path, written.truth_path)]
    print_table(f"{written.rows:,} transactions", files, right=("size",))
    injected = [{"must fire": rule, "transactions": f"{rows:,}"} for rule, rows in written.truth.items()]
    print_table("Injected", injected, right=("transactions",))


@app.command
def detect(*, engine: DetectEngineName | None = None, config: Path | None = None, json: bool = False) -> None:
    """Judge the landed transactions and publish the anomaly tables, without Prefect.

    Example: `./lakehouse transactions detect --engine sail`

    Parameters
    ----------
    engine
        spark, connect or sail [default: detect.engine; spark where Java is found, else sail].
    config
        Configuration file; section `detect` holds the thresholds.
    json
        Print the row balance as JSON.
    """
    from tasks.detect import detect_layer
    from tasks.workspace import new_run, writing

    settings = load_settings(config).with_transactions(None, engine)
    with progress(2 + len(ANOMALIES), "detecting"), writing(settings, new_run()) as workspace:
        result = detect_layer(workspace)
    print_layers((result,), json)


@app.command
def evaluate(*, truth: Path | None = None, config: Path | None = None, json: bool = False) -> None:
    """Say how well the rules find what was injected; figures and a picture go to the export directory.

    Example: `./lakehouse transactions evaluate`

    Parameters
    ----------
    truth
        Parquet file that `generate` wrote beside the transactions [default: the lake's own table].
    config
        Configuration file.
    json
        Print the figures as JSON.
    """
    from tasks.evaluation import PICTURE_NAME, evaluate_lake
    from tasks.workspace import Workspace, new_run

    workspace = Workspace(load_settings(config), new_run())
    evaluation = evaluate_lake(workspace, truth)
    if json:
        print_json(_as_json(evaluation))
        return
    _print_evaluation(evaluation)
    console.print(f"picture: {workspace.settings.export.directory / PICTURE_NAME}", highlight=False)


def _as_json(evaluation: Evaluation | None) -> dict[str, object] | None:
    from tasks.evaluation import to_dict

    return None if evaluation is None else to_dict(evaluation)


def _print_evaluation(evaluation: Evaluation) -> None:
    rows = [
        {
            "rule": line.rule,
            "flagged": f"{line.flagged:,}",
            "injected": f"{line.injected:,}",
            "precision": _in_words(line.precision),
            "recall": _in_words(line.recall),
            "recall by amount": _in_words(line.value_weighted_recall),
            "alerts a day": _in_words(line.alerts_per_day, digits=1),
        }
        for line in evaluation.rules
    ]
    print_table("Rules against what was injected, with 95 % intervals", rows, right=tuple(rows[0])[1:])
    decoys = sum(kind.decoys for kind in evaluation.decoys)
    answers.print(f"decoys just inside a boundary: {decoys:,}, flagged {evaluation.decoys_flagged:,}", highlight=False)


def _in_words(estimate: Estimate, digits: int = 3) -> str:
    if estimate.value is None:
        return "-"
    interval = "" if estimate.low is None else f" ({estimate.low:,.{digits}f} to {estimate.high:,.{digits}f})"
    return f"{estimate.value:,.{digits}f}{interval}"
