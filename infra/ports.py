"""Ports of this machine that a server is about to listen at."""

from __future__ import annotations

import socket

from lake.errors import BadInputError


def require_free(host: str, port: int, *, where: str | None = None, mend: str) -> None:
    """Refuse a port that cannot be listened at.

    Raises:
        BadInputError: It is in use, reserved or none.
    """
    try:
        socket.create_server((host, port)).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadInputError(f"port {port} cannot be used: {why}", where=where, mend=mend) from None
