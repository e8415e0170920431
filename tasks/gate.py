"""The gate: a contract on a candidate, and every reason why its rows may not be published.

Soda alone opens too easily: it passes over what it did not evaluate and counts its errors in log records.
So the checks are read from the contract a second time, and each has to have come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from lake.candidate import Balance, Run
from lake.checks import CheckResult, GateResult, Outcome
from lake.errors import ModelError
from lake.table import Table
from sql.engines.duckdb import DuckDBEngine, duckdb_type
from tasks.check_words import MAX_VALUE_CHARACTERS, allowed, failing_rows, in_short, measured, quoted
from tasks.contract_yaml import DeclaredCheck, read_contract
from tasks.contracts import contract_hash, contract_path, require_sound
from tasks.soda_run import SodaRun, release_result, run_soda

MAX_SHOWN_ERRORS = 3
OPEN = (Outcome.PASSED, Outcome.WARN)
# Outcomes that have no rows to show.
_QUIET = (Outcome.PASSED, Outcome.NOT_EVALUATED)


def check_candidate(engine: DuckDBEngine, table: Table, rows_written: int, run: Run, *, sample_rows: int) -> GateResult:
    """Run a table's contract on its candidate, registered in `engine` as view ``layer.name``.

    Tables the contract refers to must be registered too.

    Args:
        engine: Holds the candidate.
        table: Declaration of the candidate.
        rows_written: Rows staged; the contract must have seen as many.
        run: Whose time counts as now.
        sample_rows: Most failing rows to show per check.

    Raises:
        ContractError: The contract is not sound; names file and line.
        ModelError, StorageError: The candidate cannot be read.
    """
    require_sound(table)
    path = contract_path(table)
    contract, _ = read_contract(path)
    release_result(engine.connection)
    rows = _count_rows(engine, table)
    verdict = run_soda(engine.connection, path, run.at)
    results = {(r.check.column_name, r.check.type, r.check.qualifier): r for r in verdict.results}
    checks = tuple(_check_result(c, results.get(c.identity), rows) for c in contract.checks)
    shown = tuple(
        replace(result, samples=_samples(engine, table, check, sample_rows)) if result.outcome not in _QUIET else result
        for check, result in zip(contract.checks, checks, strict=True)
    )
    problems = (
        *_wrong_types(engine, table, shown),
        *_wrong_rows(table, rows, rows_written, verdict),
        *_soda_errors(table, verdict),
        *_wrong_number(table, len(contract.checks), verdict),
        *(_sentence(table, check) for check in shown if check.outcome not in OPEN),
    )
    return GateResult(table.full_name, contract_hash(table), rows, shown, problems)


def check_quarantined_share(table_name: str, balance: Balance, limit: float) -> str | None:
    """Why a table refused too many of the rows it received; None when it did not.

    Args:
        table_name: Full name.
        balance: Where the rows went.
        limit: Largest share of the received rows that may be quarantined, 0 to 1.
    """
    if not balance.received or balance.quarantined <= limit * balance.received:
        return None
    share = balance.quarantined / balance.received
    return (
        f"{table_name}: {balance.quarantined} of {balance.received} received rows ({share:.2%}) were quarantined, "
        f"allowed at most {limit:.2%} (gates.max_quarantined_share)"
    )


def _check_result(check: DeclaredCheck, result: Any, rows: int) -> CheckResult:
    outcome, value = Outcome.NOT_EVALUATED, None
    if result is not None:
        outcome = Outcome.__members__.get(result.outcome.value, Outcome.NOT_EVALUATED)
        value = measured(check, result) if outcome is not Outcome.NOT_EVALUATED else None
    if check.type == "freshness" and outcome is Outcome.FAILED and rows == 0 and check.threshold.get("level") == "warn":
        # Soda fails freshness of an empty table whatever the declared level.
        outcome, value = Outcome.WARN, "no rows"
    return CheckResult(check.name, check.type, check.column, outcome, value, allowed(check))


def _samples(engine: DuckDBEngine, table: Table, check: DeclaredCheck, limit: int) -> tuple[dict[str, Any], ...]:
    """Some rows a check refuses, values as text, the same ones every time."""
    select = failing_rows(check, table)
    if select is None or limit == 0:
        return ()
    try:
        names = engine.query(f"SELECT column_name FROM (DESCRIBE {select})").column(0).to_pylist()
        texts = ", ".join(f"left(CAST({quoted(n)} AS VARCHAR), {MAX_VALUE_CHARACTERS}) AS {quoted(n)}" for n in names)
        found = engine.query(f"SELECT {texts} FROM ({select}) ORDER BY ALL LIMIT {limit:d}")
    except ModelError:
        # The check itself did come out; without samples its sentence still stands.
        return ()
    return tuple(found.to_pylist())


def _wrong_types(engine: DuckDBEngine, table: Table, checks: Iterable[CheckResult]) -> Iterator[str]:
    """Columns of another type than declared where Soda saw no difference: to it BIGINT and DECIMAL are the same."""
    if any(c.type == "schema" and c.outcome not in OPEN for c in checks):
        return
    described = engine.query(f"SELECT column_name, column_type FROM (DESCRIBE {_view(table)})").to_pylist()
    found = {row["column_name"]: row["column_type"] for row in described}
    for column in table.columns:
        actual, declared = found.get(column.name), duckdb_type(column.type)
        if actual is not None and actual != declared:
            yield f"{table.full_name}: schema: column {column.name} is {actual}, declared {declared}"


def _wrong_rows(table: Table, rows: int, rows_written: int, verdict: SodaRun) -> Iterator[str]:
    """Row counts that differ: of the view, and what every check says it tested."""
    if rows != rows_written:
        yield f"{table.full_name}: rows tested: measured {rows}, allowed exactly the {rows_written} rows written"
    reported = [
        diagnostics[key]
        for diagnostics in (r.diagnostic_metric_values or {} for r in verdict.results)
        for key in ("dataset_rows_tested", "check_rows_tested")
        if diagnostics.get(key) is not None
    ]
    if not reported:
        yield f"{table.full_name}: rows tested: Soda tested none, {rows_written} were written"
    for number in sorted({n for n in reported if n != rows_written} - {rows}):
        yield f"{table.full_name}: rows tested: Soda measured {number}, allowed exactly the {rows_written} rows written"


def _soda_errors(table: Table, verdict: SodaRun) -> Iterator[str]:
    for error in verdict.errors[:MAX_SHOWN_ERRORS]:
        yield f"{table.full_name}: Soda reported an error: {error}"
    if len(verdict.errors) > MAX_SHOWN_ERRORS:
        yield f"{table.full_name}: Soda reported {len(verdict.errors) - MAX_SHOWN_ERRORS} more errors"


def _wrong_number(table: Table, declared: int, verdict: SodaRun) -> Iterator[str]:
    """The number of evaluated checks; equal numbers and no check NOT_EVALUATED mean that each came out."""
    evaluated = sum(r.outcome.value in (*OPEN, Outcome.FAILED) for r in verdict.results)
    if evaluated != declared:
        yield f"{table.full_name}: checks: {evaluated} were evaluated, {declared} are declared"


def _sentence(table: Table, check: CheckResult) -> str:
    if check.outcome is Outcome.NOT_EVALUATED:
        return f"{table.full_name}: {check.name} was not evaluated, allowed {check.threshold}"
    example = f"; for example {in_short(check.samples[0])}" if check.samples else ""
    return f"{table.full_name}: {check.name} measured {check.measured}, allowed {check.threshold}{example}"


def _count_rows(engine: DuckDBEngine, table: Table) -> int:
    return int(engine.query(f"SELECT count(*) FROM {_view(table)}").column(0)[0].as_py())


def _view(table: Table) -> str:
    return f"{quoted(table.layer)}.{quoted(table.name)}"
