"""GET /api/v1/anomalies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from api.answers import as_json, read
from api.openapi import json_example, problem_responses
from api.reading.anomalies import AnomalyFilters, read_anomalies

router = APIRouter(prefix="/api/v1", tags=["reading"])


class RowPage(BaseModel):
    """Rows of one version of a table, money as text, moments as RFC 3339."""

    table: str
    version: int
    published_at: datetime
    rows: list[dict[str, Any]]
    next: str | None


_EXAMPLE = {
    "table": "gold.transaction_anomalies",
    "version": 3,
    "published_at": "2026-04-01T02:00:41.120000Z",
    "rows": [
        {
            "transaction_id": "t-000000001234",
            "account_id": "a-000042",
            "merchant_id": "m-000007",
            "category": "electronics",
            "occurred_at": "2026-03-31T22:14:03.500000Z",
            "amount": "18250.00",
            "currency": "EUR",
            "rules": ["high_amount", "very_high_amount"],
            "score": 0.94,
            "burst_id": None,
            "window_count": None,
            "amount_basis": "account",
            "amount_center": 41.2,
            "amount_spread": 18.9,
            "amount_z": 963.4,
            "day_count": None,
            "day_mean": None,
            "day_z": None,
            "detected_at": "2026-04-01T02:00:00Z",
            "run_id": "20260401T020000Z-1f2e",
            "source_version": 3,
        }
    ],
    "next": "WzMsImY4...",
}


@router.get(
    "/anomalies",
    summary="Transactions that fired a rule, newest first",
    description="Reads the last version of `gold.transaction_anomalies` a gate let in, or the one asked for. `next` of "
    "a page is the `cursor` of the following one; all pages of a walk are from one version. Needs the scope read.",
    responses={
        200: json_example("A page; `next` is null on the last one.", RowPage, _EXAMPLE),
        **problem_responses("malformed", "not-found", "unprocessable"),
    },
)
async def anomalies(request: Request, asked: Annotated[AnomalyFilters, Query()]) -> Response:
    return as_json(await read(request, read_anomalies, request.app.state.versions, asked))
