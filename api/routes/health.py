"""Health: whether the process lives, and whether it can take rows now. Without a key, no more than that."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api.answers import as_json, read
from api.openapi import json_example
from api.writer.client import WriterStatus
from lake.errors import LakehouseError
from lake.lake import Lake
from lake.settings import Settings

router = APIRouter(tags=["health"])
# Anybody may ask; the disk is looked at no more often than this.
_LOOK_INTERVAL_S = 1.0
_OK, _NOT_READY = 200, 503


class Live(BaseModel):
    """The process answers."""

    status: Annotated[str, Field(examples=["live"])]


class Health(BaseModel):
    """Whether the service can take rows now, check by check; figures and places only with a key."""

    status: Annotated[str, Field(description="ready or not_ready", examples=["ready"])]
    checks: Annotated[dict[str, bool], Field(description="lake, disk, writer, queue and keys")]
    version: Annotated[int | None, Field(description="Newest version of bronze.transactions")] = None
    figures: dict[str, Any] | None = None


_READY: dict[str, Any] = {
    "status": "ready",
    "checks": {"lake": True, "disk": True, "keys": True, "writer": True, "queue": True},
}
_DETAILED: dict[str, Any] = {
    **_READY,
    "version": 4711,
    "figures": {
        "lake": "data/lake",
        "disk_free_bytes": 53_687_091_200,
        "disk_floor_bytes": 268_435_456,
        "queued_rows": 12,
        "queued_bytes": 2_048,
        "queue_rows": 500_000,
        "queue_bytes": 268_435_456,
        "last_commit_s_ago": 0.02,
        "writer_failing": "",
    },
}
_NOT: dict[str, Any] = {**_READY, "status": "not_ready", "checks": {**_READY["checks"], "disk": False}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The service can take rows.",
        "model": Health,
        "content": {
            "application/json": {"examples": {"without a key": {"value": _READY}, "with a key": {"value": _DETAILED}}}
        },
    },
    503: json_example("The service cannot take rows now; `checks` says why.", Health, _NOT),
}


@dataclass(slots=True)
class _Disk:
    """The last look at lake and disk."""

    at: float = float("-inf")
    lake: bool = False
    free_bytes: int = 0


@router.get(
    "/health/live",
    summary="Is the process alive?",
    description="200 as long as the process answers; restart it when it does not. Needs no key.",
    responses={200: json_example("It is.", Live, {"status": "live"})},
)
async def live() -> Response:
    return as_json({"status": "live"})


@router.get(
    "/health/ready",
    summary="Can the service take rows now?",
    description="200 when lake, disk, writer, queue and keys are well, else 503; send traffic elsewhere then. "
    "Needs no key; with one, the answer holds figures.",
    responses=_ANSWERS,
)
async def ready(request: Request) -> Response:
    return await _health(request)


@router.get(
    "/health",
    summary="How is the service?",
    description="The same as /health/ready.",
    responses=_ANSWERS,
)
async def health(request: Request) -> Response:
    return await _health(request)


async def _health(request: Request) -> Response:
    state = request.app.state
    settings: Settings = state.settings
    disk = await _look(request)
    writer: WriterStatus = state.writer.status()
    # What is accepted must still fit on the disk when it is committed.
    floor = settings.ingest.queue_bytes
    checks = {
        "lake": disk.lake,
        "disk": disk.free_bytes >= floor,
        "keys": settings.api.development or state.keys.is_sound,
        "writer": writer.connected and not writer.failing,
        "queue": writer.queued_rows < settings.ingest.queue_rows and writer.queued_bytes < settings.ingest.queue_bytes,
    }
    well = all(checks.values())
    answer: dict[str, Any] = {"status": "ready" if well else "not_ready", "checks": checks}
    if request.scope["state"].get("key") is not None:
        answer["version"] = writer.version
        answer["figures"] = {
            "lake": str(settings.lake.root),
            "disk_free_bytes": disk.free_bytes,
            "disk_floor_bytes": floor,
            "queued_rows": writer.queued_rows,
            "queued_bytes": writer.queued_bytes,
            "queue_rows": settings.ingest.queue_rows,
            "queue_bytes": settings.ingest.queue_bytes,
            "last_commit_s_ago": writer.last_commit_s_ago,
            "writer_failing": writer.failing,
        }
    return as_json(answer, _OK if well else _NOT_READY)


async def _look(request: Request) -> _Disk:
    """The lake and its disk, looked at once for all who ask meanwhile."""
    state = request.app.state
    if not hasattr(state, "disk"):
        state.disk, state.disk_lock = _Disk(), asyncio.Lock()
    async with state.disk_lock:
        disk: _Disk = state.disk
        if time.monotonic() - disk.at >= _LOOK_INTERVAL_S:
            disk.lake, disk.free_bytes = await read(request, _look_now, state.lake)
            disk.at = time.monotonic()
        return disk


def _look_now(lake: Lake) -> tuple[bool, int]:
    try:
        lake.check_format()
        return lake.root.is_dir(), shutil.disk_usage(lake.root).free
    except (LakehouseError, OSError):
        return False, 0
