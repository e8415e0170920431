"""GET /metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from api.answers import read
from api.metrics import MEDIA_TYPE, exposition
from api.openapi import problem_responses

router = APIRouter(tags=["operations"])
_EXAMPLE = """# HELP lakehouse_requests_total Requests answered.
# TYPE lakehouse_requests_total counter
lakehouse_requests_total{route="/api/v1/ingest",status="201"} 4711.0
"""


@router.get(
    "/metrics",
    summary="Figures of all processes of the service, for Prometheus",
    description="Whichever worker answers. Needs the scope read.",
    response_class=PlainTextResponse,
    responses={
        200: {"description": "Prometheus' text format.", "content": {"text/plain": {"example": _EXAMPLE}}},
        **problem_responses(),
    },
)
async def metrics(request: Request) -> Response:
    return Response(await read(request, exposition), media_type=MEDIA_TYPE)
