"""One run of Soda on one contract, with every error it raised or only logged."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

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
    with _ONE_AT_A_TIME, _overhearing() as errors, preserve_active_logs():
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
    return SodaRun(tuple(results), tuple(dict.fromkeys(_first_line(e) for e in errors)))


def release_result(connection: duckdb.DuckDBPyConnection) -> None:
    """Let go of a result somebody read a row of and left: DuckDB answers no relation until it is read to its end."""
    connection.execute("SELECT 1").fetchall()


@contextmanager
def _overhearing() -> Iterator[list[str]]:
    """Errors Soda logs, whatever the application switched off in `logging`; nothing reaches its handlers.

    Soda counts its errors by reading log records, so that ``logging.disable`` or a level would silence the count.
    """
    soda, ear = logging.getLogger("soda"), _Ear()
    switches = (logging.root.manager.disable, soda.disabled, soda.level, soda.propagate, soda.filters[:])
    logging.disable(logging.NOTSET)
    soda.disabled, soda.propagate, soda.filters[:] = False, False, []
    soda.setLevel(logging.WARNING)
    soda.addHandler(ear)
    try:
        yield ear.errors
    finally:
        soda.removeHandler(ear)
        disable, soda.disabled, level, soda.propagate, soda.filters[:] = switches
        soda.setLevel(level)
        logging.disable(disable)


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.ERROR:
            self.errors.append(message)
        logger.debug("Soda: %s", message)


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0]
