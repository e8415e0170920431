"""Where a load goes, and how much of it there is."""

from __future__ import annotations

from dataclasses import dataclass

from bench.ingest.bodies import CONTENT_TYPES, PATHS, Bodies


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go.

    Args:
        host: Address.
        port: TCP port.
        path: Path of the endpoint; None for the service's own of the form sent.
        key: API key; None sends none.
    """

    host: str
    port: int
    path: str | None = None
    key: str | None = None

    def head(self, bodies: Bodies) -> bytes:
        """Request line and headers but for the value of Content-Length, which comes last."""
        lines = [
            f"POST {self.path or PATHS[bodies.form]} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            *([f"Authorization: Bearer {self.key}"] if self.key else []),
            f"Content-Type: {CONTENT_TYPES[bodies.form]}",
            "Content-Length: ",
        ]
        return "\r\n".join(lines).encode()


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is sent.

    Args:
        connections: Requests under way at a time.
        seconds: After these no new request is sent.
        requests: Most requests; None sets no bound.
        versions: Ends when answers name a version this many above the first; None sets no bound.
        warmup_s: Answers of the first seconds are not part of the figures; the requests are sent all the same.
        first: Number of the first request; numbers below another load's repeat its identifiers.
        retry: Send a request again, under its identifiers, after a lost connection, a 429 or a 503.
        grace_s: Longest wait for answers that are out when the time is over.
    """

    connections: int
    seconds: float
    requests: int | None = None
    versions: int | None = None
    warmup_s: float = 0.0
    first: int = 0
    retry: bool = False
    grace_s: float = 30.0
