"""Commands that look at the lake or keep it well: tables, show, history, check, restore, maintain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli.output import answers, human_bytes, print_json, print_table
from lake.checks import GateResult
from lake.configuration import load_settings
from lake.errors import GateError
from lake.tables import BRONZE, GOLD, SILVER
from lake.tables import table as declared

if TYPE_CHECKING:
    from lake.gated import GateRecord


def tables(*, config: Path | None = None, json: bool = False) -> None:
    """List the tables that can be read: layer, rows, version, size, last change, gate.

    Example: `./lakehouse tables`

    Parameters
    ----------
    config
        Configuration file.
    json
        Print as JSON.
    """
    from lake.lake import Lake
    from tasks.inspect import table_summaries

    found = table_summaries(Lake(load_settings(config).lake.root))
    if json:
        print_json(found)
        return
    rows = [
        {
            "table": t.table,
            "layer": t.layer,
            "rows": f"{t.rows:,}",
            "version": t.version,
            "size": human_bytes(t.size_bytes),
            "last_change": f"{t.changed_at:%Y-%m-%d %H:%M:%S}Z",
            "gate": t.outcome,
        }
        for t in found
    ]
    if rows:
        print_table("Tables", rows, right=("rows", "version", "size"))
    else:
        answers.print("no tables yet; make them with: ./lakehouse run", highlight=False)


def show(
    table: str, *, limit: int = 10, where: str | None = None, config: Path | None = None, json: bool = False
) -> None:
    """Show rows of a table's readable version, in key order.

    Example: `./lakehouse show gold.revenue --where "mrr_churn > 0" --limit 12`

    Parameters
    ----------
    table
        Full name, such as gold.daily_kpis.
    limit
        Most rows to show.
    where
        A condition in DuckDB's SQL.
    config
        Configuration file.
    json
        Print as JSON.
    """
    from tasks.inspect import head
    from tasks.workspace import Workspace, new_run

    rows = head(Workspace(load_settings(config), new_run()), declared(table), limit, where).to_pylist()
    if json:
        print_json(rows)
    else:
        print_table(table, rows)


def history(table: str, *, limit: int = 20, config: Path | None = None, json: bool = False) -> None:
    """Show a table's versions and what let each of them in.

    Example: `./lakehouse history silver.payments`

    Parameters
    ----------
    table
        Full name, such as silver.payments.
    limit
        Most versions to show.
    config
        Configuration file.
    json
        Print as JSON, with source versions, contract hash and row balance.
    """
    from lake.lake import Lake
    from tasks.inspect import history as versions

    found = versions(Lake(load_settings(config).lake.root), declared(table), limit)
    if json:
        print_json(found)
        return
    rows = [
        {
            "version": c.version,
            "at": f"{c.at:%Y-%m-%d %H:%M:%S}Z",
            "operation": c.operation,
            "gate": _gate_words(c.record),
            "run": c.record.run_id if c.record else "",
            "engine": (c.record.engine or "") if c.record else "",
            "contract": (c.record.contract_hash or "")[:12] if c.record else "",
            "sources": ", ".join(f"{k}@{v}" for k, v in c.record.sources.items()) if c.record else "",
        }
        for c in found
    ]
    if rows:
        print_table(table, rows, right=("version",))
    else:
        answers.print(f"{table} was never published; build it with: ./lakehouse run", highlight=False)


def check(*table: str, last: bool = False, config: Path | None = None, json: bool = False) -> None:
    """Run Soda contracts on what is published, or show what the last run's gates said. Changes nothing.

    Example: `./lakehouse check silver.events gold.revenue`

    Parameters
    ----------
    table
        Full names; all published tables when none is given.
    last
        Show the failing checks of the last quality report instead.
    config
        Configuration file.
    json
        Print every check as JSON.
    """
    from tasks.inspect import check_published
    from tasks.workspace import Workspace, new_run

    settings = load_settings(config)
    if last:
        _show_last(settings.export.directory, json)
        return
    chosen = [declared(name) for name in table] or [*BRONZE, *SILVER, *GOLD]
    results = check_published(Workspace(settings, new_run()), chosen)
    if json:
        print_json(results)
    else:
        print_table(
            "Contracts", [_gate_row(r) for r in results], right=("rows", "checks", "passed", "warned", "failed")
        )
    problems = [problem for result in results for problem in result.problems]
    if problems:
        raise GateError("; ".join(problems), where=", ".join(r.table for r in results if not r.opens))


def restore(table: str, *, config: Path | None = None) -> None:
    """Take rows that somebody wrote past the gate out of a table; what we wrote stays, also what waits for the gate.

    Example: `./lakehouse restore bronze.events`

    Parameters
    ----------
    table
        Full name, such as bronze.events.
    config
        Configuration file.
    """
    from lake.publish import restore as go_back
    from tasks.workspace import new_run, writing

    with writing(load_settings(config), new_run()) as workspace:
        done = go_back(workspace.lake, declared(table))
    what = "rows past the gate are gone since" if done.changed else "no rows past the gate in"
    answers.print(f"{table}: {what} version {done.version}", highlight=False)


def maintain(*, config: Path | None = None, json: bool = False) -> None:
    """Repair what a power cut tore, compact small files, and delete files that no kept version needs.

    Example: `./lakehouse maintain`

    Parameters
    ----------
    config
        Configuration file.
    json
        Print what was done as JSON.
    """
    from tasks.maintain import maintain as keep_well
    from tasks.workspace import new_run, writing

    with writing(load_settings(config), new_run()) as workspace:
        done = keep_well(workspace)
    if json:
        print_json(done)
    else:
        rows = [
            {"table": m.table, "repaired": m.repaired, "files_compacted": m.compacted, "files_removed": m.removed}
            for m in done
        ]
        print_table("Maintained", rows, right=("repaired", "files_compacted", "files_removed"))


def _gate_words(record: GateRecord | None) -> str:
    from lake.gated import PENDING

    if record is None:
        return "none: not read by anybody"
    if record.outcome == PENDING:
        return "waits for the gate"
    return record.outcome if record.admits is None else f"{record.outcome}, admits up to {record.admits}"


def _gate_row(result: GateResult) -> dict[str, object]:
    outcomes = [check.outcome.value for check in result.checks]
    return {
        "table": result.table,
        "gate": result.outcome.value,
        "rows": f"{result.rows_tested:,}",
        "checks": len(outcomes),
        "passed": outcomes.count("PASSED"),
        "warned": outcomes.count("WARN"),
        "failed": len(outcomes) - outcomes.count("PASSED") - outcomes.count("WARN"),
    }


def _show_last(directory: Path, json: bool) -> None:
    from tasks.report import read_report

    report = read_report(directory)
    failing = [
        {"table": t["table"], **{k: c[k] for k in ("name", "outcome", "measured", "threshold", "samples")}}
        for t in report["tables"]
        for c in t["checks"]
        if c["outcome"] != "PASSED"
    ]
    if json:
        print_json(failing)
    elif failing:
        print_table(f"Run {report['run_id']}: {report['outcome']}", failing)
    else:
        answers.print(f"run {report['run_id']}: {report['outcome']}, every check passed", highlight=False)
