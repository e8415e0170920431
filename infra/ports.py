"""Ports of this machine that a server is about to listen at."""

from __future__ import annotations

import socket

from lake.errors import BadInputError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A loopback port that nobody listens at."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def is_listening(port: int) -> bool:
    """Whether somebody listens at a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


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
