"""GET /api/v1/tables."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from api.answers import as_json, read
from api.openapi import json_example, problem_responses
from api.reading.overview import TableOverview, overviews

router = APIRouter(prefix="/api/v1", tags=["reading"])


class Tables(BaseModel):
    """Every declared table."""

    tables: list[TableOverview]


_EXAMPLE = {
    "tables": [
        {
            "table": "bronze.transactions",
            "layer": "bronze",
            "description": "Card payments of account holders, one row each.",
            "rows": 1_000_000,
            "gated_version": 1,
            "newest_version": 4711,
            "published_at": "2026-04-01T02:00:12.004000Z",
            "size_bytes": 28_114_002,
        }
    ]
}


@router.get(
    "/tables",
    summary="Every declared table",
    description="Rows and size of the version readers read, and the newest version, which may hold rows that wait for "
    "their gate. Needs the scope read.",
    responses={200: json_example("All tables, in declared order.", Tables, _EXAMPLE), **problem_responses()},
)
async def tables(request: Request) -> Response:
    return as_json({"tables": await read(request, overviews, request.app.state.lake)})
