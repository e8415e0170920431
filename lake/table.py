"""What a table is: its name, layer, columns, key and retention, declared once.

Everything else that needs a column list (landing, SQL models, Soda contracts, exports, the glossary)
derives from a declaration or is checked against it by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")
MONEY = pa.decimal128(18, 2)
# Sums of MONEY need room: 38 digits is the widest decimal all engines share.
MONEY_SUM = pa.decimal128(38, 2)
TEXT = pa.string()
DATE = pa.date32()
COUNT = pa.int64()
RATIO = pa.float64()
FLAG = pa.bool_()


class Layer(StrEnum):
    """Medallion layers, and the two layers the platform keeps for itself."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    QUARANTINE = "quarantine"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Args:
        name: Column name, alike from bronze to gold.
        type: Arrow type; money, time and ids use the constants of this module.
        description: One sentence, with the unit.
        required: Never NULL in a published version; its contract must hold a `missing` check.
        formula: How a metric is computed, in words a reader can repeat (gold only).
        source: Tables and columns, or the publication, the formula comes from (gold only).
    """

    name: str
    type: pa.DataType
    description: str
    required: bool = False
    formula: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A declared table.

    Args:
        layer: Where it stands in the medallion.
        name: Name inside the layer.
        description: One sentence for people.
        columns: In stored order.
        key: Columns that identify a row; unique in silver and gold.
        retention_days: How long superseded versions stay readable before vacuum.
    """

    layer: Layer
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    retention_days: int = 30

    @property
    def full_name(self) -> str:
        return f"{self.layer}.{self.name}"

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema in stored order; every field nullable, as contracts guard presence."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns])

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

    @property
    def payload(self) -> tuple[Column, ...]:
        """Columns that come from outside; the rest (leading underscore) is ours."""
        return tuple(c for c in self.columns if not c.name.startswith("_"))

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            KeyError: There is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


INGEST_COLUMNS = (
    Column("_ingested_at", TIMESTAMP, "When the run that landed the row began.", required=True),
    Column("_source", TEXT, "File the row came from, relative to the inbox.", required=True),
    Column(
        "_batch_id",
        TEXT,
        "SHA-256 of the landed file's content, or id of the quarantined row that was replayed.",
        required=True,
    ),
    Column("_line", COUNT, "Line in the file (text) or row number (Parquet), from 1.", required=True),
)

# Later in this order is received later; of rows with one key the last received is kept.
RECEIVED_ORDER = ("_ingested_at", "_batch_id", "_line")
