"""One run of Soda on one contract, with every error it raised or only logged."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from spark.job.soda_errors import first_lines, overheard_errors
from tasks.contract_shape import DATA_SOURCE

logger = logging.getLogger("lakehouse")
# Soda and the switches of `logging` are global: two contracts at once would overhear each other.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class SodaRun:
    """What came out of a contract.

    Args:
        results: Soda's check results, as Soda gives them.
        errors: What Soda raised or logged as an error, first lines.
    """

    results: tuple[Any, ...]
    errors: tuple[str, ...]


def run_soda(connection: duckdb.DuckDBPyConnection, contract: Path, at: datetime) -> SodaRun:
    """Verify a contract file on an open DuckDB connection; never raises what Soda raises.

    Args:
        connection: Where the contract's dataset is a table or view; stays open.
        contract: The contract file.
        at: Time-zone-aware moment that counts as now for freshness.
    """
    # Read when Soda is first imported; without it Soda retries an export for seconds on a closed network.
    os.environ.setdefault("SODA_CORE_TELEMETRY_ENABLED", "false")
    from soda_core.common.logs import preserve_active_logs
    from soda_core.contracts import verify_contract_locally
    from soda_duckdb.common.data_sources.duckdb_data_source import DuckDBDataSourceImpl

    results: list[Any] = []
    # Soda leaves its collector attached after a run, where it would gather the application's records for ever.
    with _ONE_AT_A_TIME, overheard_errors("soda") as errors, preserve_active_logs():
        try:
            session = verify_contract_locally(
                data_sources=[DuckDBDataSourceImpl.from_existing_cursor(connection, DATA_SOURCE)],
                contract_file_path=str(contract),
                data_timestamp=at.isoformat(),
                publish=False,
            )
            for result in session.contract_verification_results:
                results.extend(result.check_results)
                errors.extend(result.get_errors())
        # Soda raises plain Exceptions; whatever it was shuts this gate and no other.
        except Exception as error:
            logger.debug("Soda failed on %s", contract, exc_info=True)
            errors.append(f"{type(error).__name__}: {error}")
    release_result(connection)
    return SodaRun(tuple(results), first_lines(errors))


def release_result(connection: duckdb.DuckDBPyConnection) -> None:
    """Let go of a result somebody read a row of and left: DuckDB answers no relation until it is read to its end."""
    connection.execute("SELECT 1").fetchall()
