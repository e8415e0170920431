"""Logs of the service: one JSON object a line on standard error, its own events and those of libraries alike.

Nothing of a request's body, query or credentials is ever handed to a logger; routes are logged as templates.
"""

from __future__ import annotations

import logging
import sys

import structlog

_SHARED: tuple[structlog.types.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
# uvicorn gives these handlers of their own; a line would appear twice, or not as JSON.
_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.asgi")


def log_events_as_json() -> None:
    """Write the service's own events as JSON lines, unless somebody has said otherwise.

    structlog's default prints the local variables of a failing function, payloads and keys among them.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[*_SHARED, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
    )


def log_as_json() -> None:
    """Write the process's whole log, libraries' included, as JSON lines; for the service's own processes."""
    log_events_as_json()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in _UVICORN:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False
