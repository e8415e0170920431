"""GET /api/v1/transactions/{transaction_id}."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel

from api.answers import as_json, read
from api.openapi import json_example, problem_responses
from api.reading.parameters import MAX_ID_CHARS
from api.reading.proof import State, prove
from api.routes.ingest_examples import EXAMPLE

router = APIRouter(prefix="/api/v1", tags=["reading"])


class OriginAnswer(BaseModel):
    """`rest` with the key's id and the version, or `file` with its line."""

    kind: str
    key: str | None
    version: int | None
    file: str | None
    line: int | None


class BronzeRowAnswer(BaseModel):
    """The transaction as received once."""

    admitted: bool
    received_at: datetime
    origin: OriginAnswer
    batch: str
    values: dict[str, Any]


class BronzeAnswer(BaseModel):
    """What bronze holds of it."""

    newest_version: int
    gated_version: int | None
    rows: list[BronzeRowAnswer]


class SilverAnswer(BaseModel):
    """Silver's row, by where it came from."""

    version: int
    origin: OriginAnswer


class QuarantinedAnswer(BaseModel):
    """A time it was refused."""

    quarantine_id: str
    table: str
    rules: list[str]
    status: str
    origin: OriginAnswer
    quarantined_at: datetime


class ProofAnswer(BaseModel):
    """Everything known of one transaction."""

    transaction_id: str
    state: State
    bronze: BronzeAnswer | None
    silver: SilverAnswer | None
    quarantine: list[QuarantinedAnswer]


_ORIGIN = {"kind": "rest", "key": "k3x9ab2c", "version": 4711, "file": None, "line": None}
_EXAMPLE: dict[str, Any] = {
    "transaction_id": "t-000000001234",
    "state": "pending",
    "bronze": {
        "newest_version": 4712,
        "gated_version": 1,
        "rows": [
            {
                "admitted": False,
                "received_at": "2026-04-01T09:30:00.125000Z",
                "origin": _ORIGIN,
                "batch": "rest/00000000000000004711/9c1f",
                "values": EXAMPLE,
            }
        ],
    },
    "silver": None,
    "quarantine": [],
}


@router.get(
    "/transactions/{transaction_id:path}",
    summary="Where one transaction is",
    description="The proof: whether the newest version of bronze holds it and since which version, whether a gate let "
    "it in, whether silver keeps it, and every time it was refused. 404 when it is nowhere. Needs the scope read.",
    responses={
        200: json_example("Where it is.", ProofAnswer, _EXAMPLE),
        **problem_responses("not-found", "unprocessable"),
    },
)
async def transaction(
    request: Request,
    transaction_id: Annotated[
        str, Path(min_length=1, max_length=MAX_ID_CHARS, description="Its id.", examples=["t-000000001234"])
    ],
) -> Response:
    return as_json(await read(request, prove, request.app.state.lake, transaction_id))
