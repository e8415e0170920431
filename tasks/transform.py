"""Running a model: its rows become a candidate; silver rows are deduplicated and split from rejected ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lake.candidate import Balance, Candidate, Run
from lake.errors import ModelError
from lake.table import COUNT, RECEIVED_ORDER, TEXT, TIMESTAMP, Column, Layer, Table
from lake.tables import quarantine_of
from lake.tables import table as declared
from sql.engines.duckdb import DuckDBEngine, sql_text
from sql.model import BROKEN_RULES, Model
from tasks.guest_engine import GuestEngine


def transform(
    engine: DuckDBEngine,
    model: Model,
    sources: Mapping[str, Sequence[Path]],
    staging: Path,
    run: Run,
    identity: str,
    *,
    guest: GuestEngine | None = None,
) -> Candidate:
    """Run a model over its sources' files.

    Args:
        engine: An engine of this run; the sources become views in it.
        model: What to run.
        sources: Parquet files of every table the model reads; none for a table without rows.
        staging: Where the candidate's files go.
        run: The run, which quarantined rows name.
        identity: The candidate's fingerprint.
        guest: Runs the model in `engine`'s place.

    Returns:
        The staged rows. A silver candidate's balance counts each of its four numbers on its own.

    Raises:
        ModelError: A source is not given, the engine refused the SELECT, or a value does not fit its declared type.
        StorageError: Disk full, or a file cannot be read.
    """
    absent = sorted(model.depends_on - sources.keys())
    if absent:
        raise ModelError(f"reads {', '.join(absent)}, whose files were not given", where=str(model.path))
    for name in sorted(model.depends_on):
        engine.register(declared(name), sources[name])
    select = model.sql if guest is None else f"SELECT * FROM read_parquet({sql_text(guest.run(model, sources))})"
    ran_on = "duckdb" if guest is None else guest.name
    if model.table.layer is Layer.SILVER:
        return replace(_split(engine, model, select, staging, run), fingerprint=identity, engine=ran_on)
    files = engine.write(select, model.table, staging)
    rows = engine.count(files)
    return Candidate(model.name, files, Balance(rows, rows, 0, 0), fingerprint=identity, engine=ran_on)


def _split(engine: DuckDBEngine, model: Model, select: str, staging: Path, run: Run) -> Candidate:
    """Published, duplicate and quarantined rows of a silver model, which `select` yields.

    Most keys occur once, so no window runs over all rows: hashes of repeated keys are found in bronze from the key
    alone (silver keeps ids as received, and a hash that two keys share only costs a ranking), their rows and the
    broken ones are kept apart and ranked, and all others stream from the sources to the candidate's files.
    """
    table, bronze = model.table, declared(f"{Layer.BRONZE}.{model.table.name}")
    key = ", ".join(f'"{column}"' for column in table.key)
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT hash({key}) AS key_hash FROM {bronze.full_name} "
        f"GROUP BY hash({key}) HAVING count(*) > 1"
    )
    contested = f"hash({key}) IN (SELECT key_hash FROM repeated)"
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE judged AS SELECT *, row_number() OVER (PARTITION BY {BROKEN_RULES} = '', {key} "
        f"ORDER BY {', '.join(f'{c} DESC NULLS LAST' for c in RECEIVED_ORDER)}) AS _rank "
        f"FROM ({select}\n) WHERE {BROKEN_RULES} <> '' OR {contested}"
    )
    unique = engine.write(f"SELECT * FROM ({select}\n) WHERE {BROKEN_RULES} = '' AND NOT ({contested})", table, staging)
    winners = engine.write(f"SELECT * FROM judged WHERE {BROKEN_RULES} = '' AND _rank = 1", table, staging / "winners")
    quarantine = engine.write(_quarantine_rows(bronze, table, run), quarantine_of(table), staging)
    balance = Balance(
        received=_rows(engine, bronze.full_name),
        published=engine.count(unique) + engine.count(winners),
        duplicates=_rows(engine, f"judged WHERE {BROKEN_RULES} = '' AND _rank > 1"),
        quarantined=engine.count(quarantine),
    )
    return Candidate(table.full_name, unique + winners, balance, quarantine)


def _rows(engine: DuckDBEngine, source: str) -> int:
    return int(engine.query(f"SELECT count(*) FROM {source}").column(0)[0].as_py())


def _quarantine_rows(bronze: Table, table: Table, run: Run) -> str:
    """Rejected rows with what was received, looked up where it still is: in bronze."""
    payload = ", ".join(f"{sql_text(c.name)}, {_as_received(c)}" for c in bronze.payload)
    return (
        f"SELECT sha256({sql_text(table.full_name)} || '|' || j._batch_id || '|' || j._line) AS quarantine_id, "
        f"{sql_text(table.full_name)} AS table_name, string_split(j.{BROKEN_RULES}, ',') AS rules, "
        f"CAST(json_object({payload}) AS VARCHAR) AS payload, j._source, j._batch_id, j._line, "
        f"{sql_text(run.run_id)} AS run_id, CAST({sql_text(run.at.isoformat())} AS TIMESTAMPTZ) AS quarantined_at "
        f"FROM judged AS j INNER JOIN {bronze.full_name} AS bronze "
        f"ON bronze._batch_id = j._batch_id AND bronze._line = j._line WHERE j.{BROKEN_RULES} <> ''"
    )


def _as_received(column: Column) -> str:
    """A value for JSON: text and whole numbers as they are, the rest as text that lands again unchanged."""
    value = f'bronze."{column.name}"'
    if column.type in (TEXT, COUNT):
        return value
    if column.type == TIMESTAMP:
        return f"strftime({value}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    # A JSON number would become a float in the hands of most readers, and money never is one.
    return f"CAST({value} AS VARCHAR)"
