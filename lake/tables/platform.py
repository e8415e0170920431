"""Tables the platform keeps for itself: what was rejected and why, what was checked, what balanced."""

from __future__ import annotations

import pyarrow as pa

from lake.table import COUNT, TEXT, TIMESTAMP, Column, Layer, Table

QUARANTINE_COLUMNS = (
    Column("quarantine_id", TEXT, "SHA-256 over table, batch and line: the same row, the same id.", True),
    Column("table_name", TEXT, "Table that refused the row.", True),
    Column("rules", pa.list_(TEXT), "Every rule the row broke; for a whole file, why it was refused.", True),
    Column("payload", TEXT, "The row as received: the text line, or JSON of its columns.", True),
    Column("_source", TEXT, "File the row came from, relative to the inbox.", True),
    Column("_batch_id", TEXT, "SHA-256 of the file's content.", True),
    Column("_line", COUNT, "Line in the file from 1; 0 for the whole file.", True),
    Column("run_id", TEXT, "Run that refused it.", True),
    Column("quarantined_at", TIMESTAMP, "When that run began.", True),
)


def quarantine_of(table: Table) -> Table:
    """The table that holds the rows `table` refused."""
    return Table(
        Layer.QUARANTINE,
        f"{table.layer}_{table.name}",
        f"Rows that {table.full_name} refused.",
        QUARANTINE_COLUMNS,
        ("quarantine_id",),
        table.retention_days,
    )


QUARANTINE_DECISIONS = Table(
    Layer.AUDIT,
    "quarantine_decisions",
    "What people decided about quarantined rows; a row without a decision is open.",
    (
        Column("quarantine_id", TEXT, "Quarantined row.", True),
        Column("table_name", TEXT, "Table that refused it.", True),
        Column("decision", TEXT, "replayed or discarded.", True),
        Column("run_id", TEXT, "Run that carried it out.", True),
        Column("decided_at", TIMESTAMP, "When that run began.", True),
    ),
    ("quarantine_id",),
)

CHECK_HISTORY = Table(
    Layer.AUDIT,
    "check_history",
    "Every outcome of every contract check of every run.",
    (
        Column("run_id", TEXT, "Run.", True),
        Column("checked_at", TIMESTAMP, "When the run began.", True),
        Column("table_name", TEXT, "Table whose candidate was checked.", True),
        Column("contract_hash", TEXT, "SHA-256 of the contract file.", True),
        Column("check_name", TEXT, "Check, with its column.", True),
        Column("check_type", TEXT, "Soda's name of the check.", True),
        Column("column_name", TEXT, "Column it looks at; NULL for the whole table."),
        Column("outcome", TEXT, "PASSED, WARN, FAILED or NOT_EVALUATED.", True),
        Column("measured", TEXT, "Value measured, as text."),
        Column("threshold", TEXT, "What it had to be, as text."),
        Column("rows_tested", COUNT, "Rows of the candidate.", True),
        Column("samples", TEXT, "JSON list of failing rows; NULL when none failed."),
    ),
    ("run_id", "table_name", "check_name"),
)

ROW_BALANCE = Table(
    Layer.AUDIT,
    "row_balance",
    "received = published + duplicates + quarantined, per run and table.",
    (
        Column("run_id", TEXT, "Run.", True),
        Column("balanced_at", TIMESTAMP, "When the run began.", True),
        Column("table_name", TEXT, "Table that was built.", True),
        Column("received", COUNT, "Rows that came in.", True),
        Column("published", COUNT, "Rows that can be read.", True),
        Column("duplicates", COUNT, "Rows received again.", True),
        Column("quarantined", COUNT, "Rows refused.", True),
    ),
    ("run_id", "table_name"),
)

AUDIT = (QUARANTINE_DECISIONS, CHECK_HISTORY, ROW_BALANCE)
