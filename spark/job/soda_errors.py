"""What Soda logs as an error while a contract is verified: it counts its errors by reading log records."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("lakehouse")


@contextmanager
def overheard_errors(*names: str) -> Iterator[list[str]]:
    """Errors that loggers tell, whatever the application switched off in `logging`; nothing reaches its handlers.

    ``logging.disable``, a level or a filter would silence the count.

    Args:
        names: Of the loggers; those below them are heard too.
    """
    ear, loggers, held = _Ear(), [logging.getLogger(name) for name in names], logging.root.manager.disable
    switches = [(told.disabled, told.level, told.propagate, told.filters[:]) for told in loggers]
    logging.disable(logging.NOTSET)
    for told in loggers:
        told.disabled, told.propagate, told.filters[:] = False, False, []
        told.setLevel(logging.WARNING)
        told.addHandler(ear)
    try:
        yield ear.errors
    finally:
        for told, (disabled, level, propagate, filters) in zip(loggers, switches, strict=True):
            told.removeHandler(ear)
            told.disabled, told.propagate, told.filters[:] = disabled, propagate, filters
            told.setLevel(level)
        logging.disable(held)


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.ERROR:
            self.errors.append(message)
        logger.debug("Soda: %s", message)


def first_lines(errors: list[str]) -> tuple[str, ...]:
    """Each error once, by its first line."""
    return tuple(dict.fromkeys(error.strip().partition("\n")[0] for error in errors))
