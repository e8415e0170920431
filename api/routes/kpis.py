"""GET /api/v1/kpis/{mart}."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api.answers import as_json, read
from api.openapi import json_example, problem_responses
from api.reading.marts import MARTS, MartFilters, read_mart
from api.routes.anomalies import RowPage

router = APIRouter(prefix="/api/v1", tags=["reading"])
_MAX_NAME_CHARS = 64
_EXAMPLE = {
    "table": "gold.daily_transaction_summary",
    "version": 3,
    "published_at": "2026-04-01T02:00:41.120000Z",
    "rows": [
        {
            "transaction_date": "2026-03-31",
            "transactions": 11_204,
            "amount": "523118.42",
            "anomalies": 31,
            "anomalous_amount": "101377.00",
            "velocity": 12,
            "high_amount": 17,
            "very_high_amount": 4,
            "frequency": 0,
            "detected_at": "2026-04-01T02:00:00Z",
            "run_id": "20260401T020000Z-1f2e",
            "source_version": 3,
        }
    ],
    "next": None,
}


@router.get(
    "/kpis/{mart}",
    summary="Rows of a mart, in key order",
    description=f"Marts: {', '.join(sorted(MARTS))}. `on`, `from` and `to` choose by the mart's day or month, for "
    "marts that have one in their key. Versions and pages as for anomalies. Needs the scope read.",
    responses={
        200: json_example("A page; `next` is null on the last one.", RowPage, _EXAMPLE),
        **problem_responses("malformed", "not-found", "unprocessable"),
    },
)
async def kpis(
    request: Request,
    mart: Annotated[str, Path(max_length=_MAX_NAME_CHARS, description="Mart.", examples=["daily_transaction_summary"])],
    asked: Annotated[MartFilters, Query()],
) -> Response:
    return as_json(await read(request, read_mart, request.app.state.versions, mart, asked))
