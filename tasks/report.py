"""The quality report: every table's gate, checks and row balance as one JSON file for CI and people.

Its shape is docs/quality_report.schema.json; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from lake.errors import BadInputError
from lake.gated import last_gated
from lake.table import Table
from lake.tables import BRONZE, COMPANY, SILVER, TRANSACTIONS, quarantine_of
from lake.tables.platform import CHECK_HISTORY, QUARANTINE_DECISIONS, ROW_BALANCE
from sql.engines.duckdb import DuckDBEngine, sql_text
from tasks.export import whole_file
from tasks.workspace import Workspace

SCHEMA_VERSION = 1
REPORT_NAME = "quality_report.json"


@contextmanager
def reported(workspace: Workspace) -> Iterator[None]:
    """Write the report when the block ends, also when a gate stopped it."""
    try:
        yield
    finally:
        workspace.step("write quality report", "audit", partial(write_quality_report, workspace))


def write_quality_report(workspace: Workspace) -> dict[str, Any]:
    """Write the report to the export directory.

    Returns:
        Its content.

    Raises:
        StorageError: The directory cannot be written.
    """
    report = quality_report(workspace)
    with whole_file(workspace.settings.export.directory / REPORT_NAME) as unfinished:
        unfinished.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return report


def quality_report(workspace: Workspace) -> dict[str, Any]:
    """What let every table's readable version in, and what this run's gates said.

    A table shows this run's checks when it was checked in this run, else those of the run that published it.
    """
    with workspace.engine() as engine:
        for audit in (CHECK_HISTORY, ROW_BALANCE, QUARANTINE_DECISIONS):
            gated = last_gated(workspace.lake, audit)
            engine.register(audit, gated.files if gated else ())
        tables = [t for subject in (COMPANY, TRANSACTIONS) for t in _subject_report(workspace, engine, subject)]
        outcomes = [t["outcome"] for t in tables]
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": workspace.run.run_id,
            "run_at": workspace.run.at.isoformat(),
            "outcome": _worst(outcomes),
            "tables": tables,
            "quarantine": _quarantined(workspace, engine),
        }


def _worst(outcomes: Sequence[str]) -> str:
    return next((o for o in ("FAILED", "NEVER", "WARN", "PASSED") if o in outcomes), "NEVER")


def _subject_report(workspace: Workspace, engine: DuckDBEngine, tables: Sequence[Table]) -> list[dict[str, Any]]:
    """The tables that one flow builds; none where that flow never ran."""
    reports = [_table_report(workspace, engine, table) for table in tables]
    return reports if any(report["outcome"] != "NEVER" for report in reports) else []


def _table_report(workspace: Workspace, engine: DuckDBEngine, table: Table) -> dict[str, Any]:
    gated = last_gated(workspace.lake, table)
    checks = _checks(engine, table, workspace.run.run_id)
    checked_now = bool(checks)
    if gated is not None and not checks:
        checks = _checks(engine, table, gated.record.run_id)
    failed = any(c["outcome"] not in ("PASSED", "WARN") for c in checks)
    run_id = workspace.run.run_id if checked_now else gated.record.run_id if gated else workspace.run.run_id
    return {
        "table": table.full_name,
        "layer": table.layer.value,
        "outcome": "FAILED" if failed else gated.record.outcome if gated else "NEVER",
        "checked_in_this_run": checked_now,
        "version": gated.version if gated else None,
        "rows": gated.rows if gated else 0,
        "contract_hash": gated.record.contract_hash if gated else None,
        "sources": gated.record.sources if gated else {},
        "balance": _balance(engine, table, run_id),
        "checks": checks,
    }


def _checks(engine: DuckDBEngine, table: Table, run_id: str) -> list[dict[str, Any]]:
    rows = engine.query(
        "SELECT check_name AS name, check_type AS type, column_name AS column, outcome, measured, threshold, "
        f"rows_tested, samples FROM audit.check_history WHERE table_name = {sql_text(table.full_name)} "
        f"AND run_id = {sql_text(run_id)} "
        # Rows that land beside waiting ones are checked when they land, and with those when all are admitted.
        "QUALIFY row_number() OVER (PARTITION BY check_name ORDER BY rows_tested DESC) = 1 ORDER BY check_name"
    ).to_pylist()
    return [{**row, "samples": orjson.loads(row["samples"]) if row["samples"] else []} for row in rows]


def _balance(engine: DuckDBEngine, table: Table, run_id: str) -> dict[str, int] | None:
    rows: list[dict[str, int]] = engine.query(
        "SELECT sum(received)::BIGINT AS received, sum(published)::BIGINT AS published, "
        "sum(duplicates)::BIGINT AS duplicates, sum(quarantined)::BIGINT AS quarantined FROM audit.row_balance "
        f"WHERE table_name = {sql_text(table.full_name)} AND run_id = {sql_text(run_id)} HAVING count(*) > 0"
    ).to_pylist()
    return rows[0] if rows else None


def _quarantined(workspace: Workspace, engine: DuckDBEngine) -> list[dict[str, Any]]:
    """Quarantined rows per table, rule and status (open, replayed, discarded)."""
    counts: list[dict[str, Any]] = []
    for table in (*BRONZE, *SILVER):
        quarantine = quarantine_of(table)
        gated = last_gated(workspace.lake, quarantine)
        if gated is None or not gated.files:
            continue
        engine.register(quarantine, gated.files)
        counts += engine.query(
            f'SELECT q.table_name AS "table", r.rule, coalesce(d.decision, \'open\') AS status, count(*) AS "rows" '
            f"FROM {quarantine.full_name} AS q CROSS JOIN unnest(q.rules) AS r(rule) "
            "LEFT JOIN audit.quarantine_decisions AS d ON d.quarantine_id = q.quarantine_id "
            "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        ).to_pylist()
    return counts


def read_report(directory: Path) -> dict[str, Any]:
    """The last report written to `directory`.

    Raises:
        BadInputError: There is none, or it is not a report.
    """
    path = directory / REPORT_NAME
    try:
        report: dict[str, Any] = orjson.loads(path.read_bytes())
    except OSError as error:
        raise BadInputError(f"no quality report: {error.strerror}", where=str(path), mend="./lakehouse run") from None
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"not a quality report: {error}", where=str(path), mend="./lakehouse export") from None
    return report
