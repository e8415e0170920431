"""Callers that do not give up: a load whose requests are sent again, under the same ids, until they are answered."""

from __future__ import annotations

import asyncio
import threading
import time

from bench.faults.service import Service
from bench.ingest.bodies import Bodies
from bench.ingest.client import Load
from bench.ingest.figures import Figures
from bench.ingest.plan import Plan, Target
from bench.measure import BenchError
from infra.ports import LOOPBACK

_STOP_S, _POLL_S = 60.0, 0.05
_A_DAY_S = 86_400


class Callers:
    """A load in a thread of its own, whose requests are sent again until they are answered.

    Args:
        service: Where to.
        bodies: What is sent.
        connections: Requests under way at a time.
        first: Number of the first request.
    """

    def __init__(self, service: Service, bodies: Bodies, connections: int, *, first: int = 0) -> None:
        plan = Plan(connections, seconds=_A_DAY_S, first=first, retry=True, grace_s=0)
        self.load = Load(Target(LOOPBACK, service.port), bodies, plan)
        self._figures: Figures | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="callers")

    def __enter__(self) -> Callers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.load.stop()
        self._thread.join(_STOP_S)

    @property
    def figures(self) -> Figures:
        """Of the whole load, once its block has ended.

        Raises:
            BenchError: Requests were left without an answer.
        """
        if self._figures is None:
            raise BenchError(f"callers still wait for answers ({self._failure})")
        return self._figures

    def acknowledged(self) -> int:
        return len(self.load.acknowledged)

    def wait_for(self, acknowledged: int, seconds: float = _STOP_S) -> None:
        """Wait until so many requests were answered with success.

        Raises:
            BenchError: They were not in time.
        """
        deadline = time.monotonic() + seconds
        while self.acknowledged() < acknowledged:
            if time.monotonic() > deadline:
                raise BenchError(f"{self.acknowledged()} answers of success after {seconds:.0f} s")
            time.sleep(_POLL_S)

    def _run(self) -> None:
        try:
            self._figures = asyncio.run(self.load.drive())
        except BaseException as error:
            self._failure = error
