"""The peer most people write first: a pydantic model, and one append to the Delta table for each request.

NAIVE_TABLE=PLACE uvicorn bench.ingest.naive:app
"""

from __future__ import annotations

import os
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
from deltalake import write_deltalake
from fastapi import FastAPI
from pydantic import BaseModel

TABLE_VARIABLE = "NAIVE_TABLE"
SCHEMA = pa.schema(
    [
        ("transaction_id", pa.string()),
        ("account_id", pa.string()),
        ("merchant_id", pa.string()),
        ("category", pa.string()),
        ("occurred_at", pa.timestamp("us", tz="UTC")),
        ("amount", pa.decimal128(18, 2)),
        ("currency", pa.string()),
        ("channel", pa.string()),
    ]
)


class Transaction(BaseModel):
    """One card payment."""

    transaction_id: str
    account_id: str
    merchant_id: str
    category: str
    occurred_at: datetime
    amount: Decimal
    currency: str
    channel: str


app = FastAPI()


@app.get("/health")
def health() -> dict[str, bool]:
    return {"ok": True}


@app.post("/api/v1/ingest", status_code=201)
def ingest(transaction: Transaction) -> dict[str, str]:
    """Append the row."""
    rows = pa.Table.from_pylist([transaction.model_dump()], schema=SCHEMA)
    write_deltalake(os.environ[TABLE_VARIABLE], rows, mode="append")
    return {"transaction_id": transaction.transaction_id, "status": "committed"}


@app.post("/parse")
async def parse(transaction: Transaction) -> dict[str, str]:
    """An answer after pydantic has read the row; nothing is written."""
    return {"transaction_id": transaction.transaction_id}
