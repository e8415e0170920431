"""Soda's gate on Spark: the project's gold contracts on candidates, before a row of them is published.

Soda alone opens too easily: it passes over what it did not evaluate and counts its errors in log records. So every
declared check has to have come out, and types and rows are compared once more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.errors import GateError, MissingToolError
from spark.job.contract_on_spark import DATA_SOURCE, Identity, SparkContract, read_contract
from spark.job.publishing import Candidate, columns_of
from spark.job.soda_errors import first_lines, overheard_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

INSTALL_SODA = "python -m pip install soda-sparkdf==4.28.0"
MAX_SHOWN_PROBLEMS = 5
_OPEN = ("PASSED", "WARN")
_LOGGERS = ("soda", "soda_core", "soda_sparkdf", "soda_databricks")


@dataclass(frozen=True)
class Verdict:
    """What came out of one contract.

    Args:
        results: Soda's check results by what tells the checks apart.
        errors: What Soda raised or logged as an error, first lines.
    """

    results: Mapping[Identity, Any]
    errors: tuple[str, ...]


def read_contracts(folder: Path, names: tuple[str, ...]) -> tuple[SparkContract, ...]:
    """The contracts of gold tables, translated for Spark; to be read before anything is computed.

    Args:
        folder: Holds ``gold/NAME.yaml``, such as soda/contracts.
        names: Of the tables.

    Raises:
        MissingToolError: soda-sparkdf is not installed.
        ContractError: A contract cannot be read or translated.
    """
    # Read when Soda is first imported; without it Soda retries an export for seconds on a closed network.
    os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"
    try:
        # To know now, not after an hour of detection. Soda's core loads its plugins and has to come first.
        import soda_core.contracts  # noqa: F401
        import soda_sparkdf  # noqa: F401
    except ImportError as error:
        raise MissingToolError(f"--contracts needs soda-sparkdf ({error})", mend=INSTALL_SODA) from None
    return tuple(read_contract(folder / "gold" / f"{name}.yaml") for name in names)


def require_open(
    session: SparkSession,
    contracts: tuple[SparkContract, ...],
    candidates: Mapping[str, Candidate],
    at: datetime,
    schema: str,
) -> None:
    """Stop unless every contract lets its candidate through.

    Args:
        session: Any: classic, Connect, Sail.
        contracts: From `read_contracts`.
        candidates: By table.
        at: Time-zone-aware moment that counts as now.
        schema: Name for a schema that holds the candidates while they are checked; dropped afterwards.

    Raises:
        GateError: Names the table, the check, what it measured and what is allowed.
    """
    problems: list[str] = []
    with _registered(session, candidates, schema):
        for contract in contracts:
            problems.extend(_problems(session, contract, schema, at))
    if problems:
        more = f"; and {len(problems) - MAX_SHOWN_PROBLEMS} more" if len(problems) > MAX_SHOWN_PROBLEMS else ""
        told = "; ".join(problems[:MAX_SHOWN_PROBLEMS]) + more
        raise GateError(told, where="gate", mend="nothing was published; the previous tables stay as they are")


@contextmanager
def _registered(session: SparkSession, candidates: Mapping[str, Candidate], schema: str) -> Iterator[None]:
    # Beside the candidates, with which it goes; its usual place would be the warehouse of somebody else.
    own = _quoted(next(iter(candidates.values())).place.rpartition("/")[0] + "/schema")
    session.sql(f"CREATE SCHEMA IF NOT EXISTS `{schema}` LOCATION {own}")
    try:
        for name, candidate in candidates.items():
            columns, place = columns_of(candidate.rows), _quoted(candidate.place)
            session.sql(f"CREATE TABLE `{schema}`.`{name}` ({columns}) USING parquet LOCATION {place}")
        yield
    finally:
        for name in candidates:
            session.sql(f"DROP TABLE IF EXISTS `{schema}`.`{name}`")
        session.sql(f"DROP SCHEMA IF EXISTS `{schema}`")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _problems(session: SparkSession, contract: SparkContract, schema: str, at: datetime) -> Iterator[str]:
    table = session.table(f"`{schema}`.`{contract.name}`")
    types = dict(table.dtypes)
    # To Soda BIGINT and DECIMAL, TEXT and CHAR are the same.
    if types != contract.types or tuple(types) != tuple(contract.types):
        for name in {**contract.types, **types}:
            if types.get(name) != contract.types.get(name):
                yield f"{contract.name}: column {name} is {types.get(name)}, declared {contract.types.get(name)}"
        if types == contract.types:
            yield f"{contract.name}: columns stand in another order than declared: {', '.join(types)}"
        return
    verdict = verify(session, contract, schema, at)
    for error in verdict.errors:
        yield f"{contract.name}: Soda reported an error: {error}"
    rows = table.count()
    for identity in contract.checks:
        if told := _not_passed(verdict.results.get(identity)):
            yield f"{contract.name}: {_name(identity)} {told}"
    evaluated = sum(result.outcome.value in (*_OPEN, "FAILED") for result in verdict.results.values())
    if evaluated != len(contract.checks):
        yield f"{contract.name}: {evaluated} checks were evaluated, {len(contract.checks)} are declared"
    for tested in sorted(_rows_tested(verdict) - {rows}):
        yield f"{contract.name}: Soda tested {tested} rows, the candidate has {rows}"


def verify(session: SparkSession, contract: SparkContract, schema: str, at: datetime) -> Verdict:
    """Verify a contract on the table of its name in a schema; never raises what Soda raises."""
    from soda_core.common.logs import preserve_active_logs
    from soda_core.common.yaml import ContractYamlSource
    from soda_core.contracts.contract_verification import ContractVerificationSession

    results: dict[Identity, Any] = {}
    with overheard_errors(*_LOGGERS) as errors, preserve_active_logs():
        try:
            verified = ContractVerificationSession.execute(
                contract_yaml_sources=[ContractYamlSource.from_str(contract.on(schema))],
                data_source_impls=[_data_source(session)],
                data_timestamp=at.isoformat(),
                soda_cloud_publish_results=False,
            )
            for result in verified.contract_verification_results:
                results |= {(r.check.column_name, r.check.type, r.check.qualifier): r for r in result.check_results}
                errors.extend(result.get_errors())
        # Soda raises plain Exceptions; whatever it was shuts this gate and no other.
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
    return Verdict(results, first_lines(errors))


def _data_source(session: SparkSession) -> Any:
    from soda_sparkdf.common.data_sources.sparkdf_data_source import SparkDataFrameDataSourceImpl

    source = SparkDataFrameDataSourceImpl.from_existing_session(session, DATA_SOURCE)

    # Soda's `DESCRIBE schema.table` is no SQL to Sail; with the word TABLE every engine knows it.
    def describe(dataset_prefixes: list[str], dataset_name: str) -> str:
        return f"DESCRIBE TABLE {'.'.join((*dataset_prefixes, dataset_name))}"

    source.build_columns_metadata_query_str = describe
    return source


def _not_passed(result: Any) -> str | None:
    """Why a check does not open the gate; None when it does."""
    if result is None:
        return "was not evaluated"
    if result.outcome.value in _OPEN:
        return None
    if result.outcome.value != "FAILED":
        return "was not evaluated"
    return f"failed, measured {result.threshold_value}"


def _rows_tested(verdict: Verdict) -> set[int]:
    keys = ("dataset_rows_tested", "check_rows_tested")
    found = [(r.diagnostic_metric_values or {}).get(key) for r in verdict.results.values() for key in keys]
    return {int(number) for number in found if number is not None}


def _name(identity: Identity) -> str:
    column, kind, qualifier = identity
    return f"{column}: " * bool(column) + kind + f" ({qualifier})" * bool(qualifier)
