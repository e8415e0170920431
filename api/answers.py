"""How answers are written: JSON with money as text of its scale, moments as RFC 3339, no NaN."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import msgspec
from fastapi import Request
from fastapi.responses import Response

P = ParamSpec("P")
T = TypeVar("T")
_encoder = msgspec.json.Encoder()


def as_json(content: Any, status: int = 200) -> Response:
    """An answer; dataclasses, decimals, dates and moments are written by the encoder."""
    return Response(_encoder.encode(content), status, media_type="application/json")


async def read(request: Request, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do blocking work in one of the few threads that read, so that the event loop goes on.

    A request that is given up leaves its thread busy until the work ends: there are never more readings than threads.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(request.app.state.readers, lambda: work(*args, **kwargs))
