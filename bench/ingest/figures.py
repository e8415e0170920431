"""What a load generator counted: answers, times, and the rows it was told are in the table."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

_FIRST_ERROR_STATUS = 300


@dataclass(slots=True)
class Counts:
    """What is noted per answer; cheap, as it is on the way of every request.

    Args:
        began: When counting began, seconds of a monotonic clock.
    """

    began: float
    ended: float = 0.0
    latencies_s: array[float] = field(default_factory=lambda: array("d"))
    moments_s: array[float] = field(default_factory=lambda: array("d"))
    statuses: Counter[int] = field(default_factory=Counter)
    rows: int = 0
    short_answers: int = 0
    lost_connections: int = 0
    unanswered: int = 0
    first_version: int | None = None
    last_version: int | None = None

    def answered(self, status: int, sent: float, now: float) -> None:
        self.statuses[status] += 1
        self.latencies_s.append(now - sent)
        self.moments_s.append(now)
        self.ended = now

    def committed(self, version: int) -> int:
        """Note the version an answer named; how many versions the answers span by now."""
        self.first_version = version if self.first_version is None else min(self.first_version, version)
        self.last_version = version if self.last_version is None else max(self.last_version, version)
        return self.last_version - self.first_version


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from sending a request to its whole answer."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One load.

    Args:
        requests: Answers of any status.
        rows: Rows that answers of success call committed; requests, where an endpoint does not say.
        seconds: From the first request to the last answer.
        statuses: Answers by status.
        errors: Answers of no success, answers that took fewer rows than were sent, and requests never answered.
        short_answers: Those that took fewer rows than were sent.
        lost_connections: Connections that ended with a request under way; it was sent again, or is unanswered.
        unanswered: Requests whose connection ended, or whose answer did not come in time.
        per_second: Answers in each second; the last one is not a whole second.
        cpu_s: Processor time the generator took itself.
        first_version: Lowest version of the table an answer named.
        last_version: Highest one.
    """

    requests: int
    rows: int
    seconds: float
    requests_per_s: float
    rows_per_s: float
    statuses: dict[str, int]
    errors: int
    short_answers: int
    lost_connections: int
    unanswered: int
    latency: Latency
    per_second: tuple[int, ...]
    cpu_s: float
    cpu_us_per_request: float
    first_version: int | None
    last_version: int | None

    @classmethod
    def of(cls, counts: Counts, cpu_s: float) -> Figures:
        requests = len(counts.latencies_s)
        seconds = max(counts.ended - counts.began, 0.0)
        refused = sum(n for status, n in counts.statuses.items() if status >= _FIRST_ERROR_STATUS)
        return cls(
            requests=requests,
            rows=counts.rows,
            seconds=round(seconds, 3),
            requests_per_s=round(requests / seconds, 1) if seconds else 0.0,
            rows_per_s=round(counts.rows / seconds, 1) if seconds else 0.0,
            statuses={str(status): n for status, n in sorted(counts.statuses.items())},
            errors=refused + counts.short_answers + counts.unanswered,
            short_answers=counts.short_answers,
            lost_connections=counts.lost_connections,
            unanswered=counts.unanswered,
            latency=latency(counts.latencies_s),
            per_second=_per_second(counts),
            cpu_s=round(cpu_s, 3),
            cpu_us_per_request=round(1e6 * cpu_s / requests, 1) if requests else 0.0,
            first_version=counts.first_version,
            last_version=counts.last_version,
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def latency(seconds: Sequence[float]) -> Latency:
    """Percentiles of times in seconds, as milliseconds; the value at least that share of all is at or below."""
    if not len(seconds):
        return Latency(0.0, 0.0, 0.0, 0.0)
    values = np.percentile(np.asarray(seconds), (50, 90, 99, 100), method="inverted_cdf") * 1e3
    return Latency(*(round(float(value), 2) for value in values))


def _per_second(counts: Counts) -> tuple[int, ...]:
    if not counts.moments_s:
        return ()
    seconds = (np.asarray(counts.moments_s) - counts.began).astype(np.int64)
    return tuple(np.bincount(seconds).tolist())
