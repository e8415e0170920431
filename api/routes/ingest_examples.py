"""Bodies and answers of the ingest routes for the OpenAPI document, derived from the declared table."""

from __future__ import annotations

from typing import Any

import orjson

from lake.table import MONEY, TIMESTAMP, Column
from lake.tables import BRONZE_TRANSACTIONS

EXAMPLE = {
    "transaction_id": "t-000000001234",
    "account_id": "a-000042",
    "merchant_id": "m-000007",
    "category": "grocery",
    "occurred_at": "2026-04-01T09:29:58Z",
    "amount": "12.50",
    "currency": "EUR",
    "channel": "online",
}


def _field(column: Column) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": column.description}
    if column.type == MONEY:
        return schema | {"type": ["string", "number"], "examples": ["12.50", 12.5]}
    if column.type == TIMESTAMP:
        return schema | {"type": "string", "format": "date-time", "examples": [EXAMPLE[column.name]]}
    return schema | {"type": "string", "minLength": 1, "maxLength": 256, "examples": [EXAMPLE[column.name]]}


_ROW = {
    "type": "object",
    "required": [column.name for column in BRONZE_TRANSACTIONS.payload],
    "additionalProperties": False,
    "properties": {column.name: _field(column) for column in BRONZE_TRANSACTIONS.payload},
}
_HEADERS = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "A repeat with the same key gets the first answer; with another body, 409.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
        "example": "order-4711",
    },
    {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "description": "`respond-async`: answer 202 once the rows were checked, before they are on the disk.",
        "schema": {"type": "string", "enum": ["respond-async"]},
        "example": "respond-async",
    },
]
_REPLAYED = {
    "Idempotent-Replayed": {
        "description": "`true` when this is the answer to an earlier request.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}


def _object(description: str, properties: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": [*properties], "properties": properties}
    return {"description": description, "content": {"application/json": {"schema": schema, "example": example}}}


_COUNT = {"type": "integer", "minimum": 0}
_ERROR = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("pointer", "rule", "detail")},
}

ROW_BODY: dict[str, Any] = {
    "parameters": _HEADERS,
    "requestBody": {"required": True, "content": {"application/json": {"schema": _ROW, "example": EXAMPLE}}},
}
ROW_ANSWERS: dict[int | str, dict[str, Any]] = {
    201: _object(
        "The row is in this version of bronze.transactions, and on the disk.",
        {
            "transaction_id": {"type": "string"},
            "version": _COUNT,
            "rows": {"const": 1},
            "status": {"const": "committed"},
        },
        {"transaction_id": EXAMPLE["transaction_id"], "version": 4711, "rows": 1, "status": "committed"},
    )
    | {"headers": _REPLAYED},
    202: _object(
        "The row was checked and waits for its commit; a crash may lose it.",
        {"transaction_id": {"type": "string"}, "rows": {"const": 1}, "status": {"const": "accepted"}},
        {"transaction_id": EXAMPLE["transaction_id"], "rows": 1, "status": "accepted"},
    ),
}

_LINES = "".join(orjson.dumps(EXAMPLE | {"transaction_id": f"t-{i}"}).decode() + "\n" for i in (1, 2))
_BINARY = {"type": "string", "format": "binary"}
BATCH_BODY: dict[str, Any] = {
    "parameters": _HEADERS,
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "array", "minItems": 1, "items": _ROW}, "example": [EXAMPLE]},
            "application/x-ndjson": {"schema": {"type": "string"}, "example": _LINES},
            "application/vnd.apache.arrow.stream": {"schema": _BINARY},
        },
    },
}
BATCH_ANSWERS: dict[int | str, dict[str, Any]] = {
    201: _object(
        "The valid rows are in this version of bronze.transactions, and on the disk.",
        {
            "version": _COUNT,
            "received": _COUNT,
            "committed": _COUNT,
            "duplicates": _COUNT,
            "quarantined": _COUNT,
            "refused": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "errors"],
                    "properties": {"index": _COUNT, "errors": {"type": "array", "items": _ERROR}},
                },
            },
        },
        {
            "version": 4712,
            "received": 3,
            "committed": 2,
            "duplicates": 0,
            "quarantined": 1,
            "refused": [
                {
                    "index": 1,
                    "errors": [
                        {
                            "pointer": "#/1/amount",
                            "rule": "amount_too_precise",
                            "detail": "amount has more digits after the point than are kept: cents, two digits.",
                        }
                    ],
                }
            ],
        },
    )
    | {"headers": _REPLAYED},
    202: _object(
        "The rows were checked and wait for their commit; a crash may lose them.",
        {"received": _COUNT, "status": {"const": "accepted"}},
        {"received": 3, "status": "accepted"},
    ),
}
