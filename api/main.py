"""The HTTP service: ``uvicorn api.main:app``, or with everything set right, ``lakehouse serve``."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.logs import log_as_json, log_events_as_json
from api.middleware import RequestFrame
from api.openapi import DESCRIPTION, document, query_errors
from api.problems import PROBLEMS, Problem, malformed, problem, unprocessable
from api.reading.versions import TableVersions
from api.routes import anomalies, health, ingest, kpis, metrics, tables, transactions
from api.routes.body_budget import BodyBudget
from api.security.guard import Guard, is_loopback
from api.security.key_ring import KeyRing
from api.security.rate_limit import RateLimiter
from api.writer.client import WriterClient
from lake.configuration import load_settings
from lake.errors import ConfigurationError, LakehouseError
from lake.lake import Lake
from lake.settings import Settings

# Readings run in threads of their own: a scan uses every core by itself, and more of them at once need more memory.
READING_THREADS = 4
LIMITS_SUFFIX = ".limits"
ROUTERS = tuple(m.router for m in (health, ingest, anomalies, transactions, kpis, tables, metrics))
_log = structlog.get_logger("lakehouse.api")
_SLUG_OF_STATUS = {kind.status: slug for slug, kind in PROBLEMS.items()}


class _Service(FastAPI):
    def openapi(self) -> dict[str, Any]:
        return document(self, ROUTERS)


def create_app(settings: Settings) -> FastAPI:
    """The service under these settings; nothing is opened before it starts.

    Raises:
        ConfigurationError: Development mode on a host that others can reach.
    """
    refuse_open_door(settings)
    log_events_as_json()
    ring = KeyRing(settings.api.keys_file)
    limiter = RateLimiter(settings.api.keys_file.with_suffix(LIMITS_SUFFIX))
    app = _Service(
        title="Lakehouse",
        version="1",
        description=DESCRIPTION,
        lifespan=_lifespan,
        # Their pages load scripts from elsewhere; the document itself is at /openapi.json.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.state.lake = Lake(settings.lake.root)
    app.state.keys = ring
    app.state.limiter = limiter
    app.state.versions = TableVersions(app.state.lake)
    app.state.readers = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="reading")
    app.state.writer = WriterClient(settings)
    app.state.bodies = BodyBudget(settings.api.held_bytes)
    app.router.routes.append(ingest.QuickRoute())
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(HTTPException, _from_http)
    app.add_exception_handler(RequestValidationError, _from_validation)
    # The last one added is the outermost.
    app.add_middleware(Guard, settings=settings.api, ring=ring, limiter=limiter)
    app.add_middleware(RequestFrame, settings=settings.api)
    return app


def refuse_open_door(settings: Settings) -> None:
    """Refuse to serve everybody without keys.

    Raises:
        ConfigurationError: Development mode on a host that others can reach.
    """
    if settings.api.development and not is_loopback(settings.api.host):
        raise ConfigurationError(
            f"development mode asks for no key and must not be reachable at {settings.api.host}",
            where="api.development",
            mend="set api.host to 127.0.0.1, or make keys with: ./lakehouse keys create",
        )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    if not settings.api.development and app.state.keys.is_empty:
        raise no_keys(settings)
    await asyncio.to_thread(app.state.lake.prepare)
    app.state.limiter.open()
    await app.state.writer.start()
    # What is loaded now stays; the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    _log.info("started", development=settings.api.development)
    try:
        yield
    finally:
        await app.state.writer.stop()
        app.state.readers.shutdown(wait=False, cancel_futures=True)
        app.state.limiter.close()
        gc.unfreeze()
        _log.info("stopped")


def no_keys(settings: Settings) -> ConfigurationError:
    """Why a service without keys does not start."""
    return ConfigurationError(
        "there is no API key, so nobody could be let in",
        where=str(settings.api.keys_file),
        mend="make one with: ./lakehouse keys create NAME --scope ingest --scope read",
    )


def _from_http(request: Request, error: Exception) -> NoReturn:
    """Starlette's own refusals (404, 405) as problems."""
    assert isinstance(error, HTTPException), "registered for it"
    slug = _SLUG_OF_STATUS.get(error.status_code, "malformed")
    refusal = problem(slug, f"{request.method} is not what this path answers." if slug != "not-found" else _NO_PATH)
    raise Problem(error.status_code, slug, refusal.title, refusal.detail, headers=error.headers)


_NO_PATH = "There is nothing at this path; /openapi.json lists what there is."


def _from_validation(_request: Request, error: Exception) -> NoReturn:
    """FastAPI's refusals of parameters as problems that name each."""
    assert isinstance(error, RequestValidationError), "registered for it"
    errors = query_errors(error)
    if not errors:
        raise malformed("The request's parameters cannot be read.")
    raise unprocessable("Parameters of the request are wrong.", errors)


def __getattr__(name: str) -> Any:
    """Build `app` when a server asks for it, so that importing this module reads no settings."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    log_as_json()
    try:
        service = create_app(load_settings())
    except LakehouseError as error:
        _log.error("not_started", what=error.what, where=error.where, mend=error.mend)
        sys.exit(error.exit_code)
    globals()["app"] = service
    return service
