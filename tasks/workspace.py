"""What every verb needs: settings, the lake, the run, and how its steps are carried out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from lake.candidate import Run
from lake.errors import ConfigurationError
from lake.lake import Lake
from lake.lock import writer_lock
from lake.settings import Settings
from sql.engines.duckdb import DuckDBEngine
from tasks.announcements import Announcer, Nobody

Result = TypeVar("Result")
logger = logging.getLogger("lakehouse")


class StepRunner(Protocol):
    """Carries out one step; the plain runner calls it, the Prefect runner makes it a task run."""

    def __call__(self, name: str, layer: str, step: Callable[[], Result]) -> Result: ...


def run_plainly(name: str, layer: str, step: Callable[[], Result]) -> Result:
    """Call the step and log how long it took."""
    began = time.monotonic()
    result = step()
    seconds = time.monotonic() - began
    logger.info("%s (%.1f s)", name, seconds, extra={"step": name, "layer": layer, "seconds": seconds})
    return result


@dataclass(frozen=True, slots=True)
class Workspace:
    """One run's view of the world.

    Args:
        settings: The validated configuration.
        run: Who acts, and when it began.
        step: How steps are carried out.
        announce: Who is told of published layers, shut gates and quarantined rows.
    """

    settings: Settings
    run: Run
    step: StepRunner = run_plainly
    announce: Announcer = field(default_factory=Nobody)

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake.root)

    @property
    def staging(self) -> Path:
        """Directory of this run's candidates."""
        return self.lake.staging(self.run.run_id)

    def engine(self) -> DuckDBEngine:
        """A fresh embedded engine that spills into this run's staging directory."""
        return DuckDBEngine(self.settings.engine, self.staging / "spill")


def new_run(at: datetime | None = None) -> Run:
    """A run that begins at `at`, or now; the one place a clock is read.

    Raises:
        ConfigurationError: `at` has no zone.
    """
    began = at or datetime.now(UTC)
    if began.tzinfo is None:
        raise ConfigurationError(
            f"the run's time {began.isoformat()} has no zone", mend="write it like 2026-01-31T08:00Z"
        )
    began = began.astimezone(UTC)
    # Sortable by time, unique by nanosecond counter: names files and directories.
    return Run(f"{began:%Y%m%dT%H%M%S}-{time.time_ns() % 10**9:09d}", began)


@contextmanager
def writing(
    settings: Settings, run: Run, step: StepRunner = run_plainly, announce: Announcer | None = None
) -> Iterator[Workspace]:
    """A workspace that holds the lake's writer lock; candidates of dead runs and its own are gone afterwards.

    Raises:
        LakeBusyError, NewerLakeError, StorageError: See Lake.prepare and writer_lock.
    """
    workspace = Workspace(settings, run, step, announce or Nobody())
    lake = workspace.lake
    lake.prepare()
    with writer_lock(lake, f"run {run.run_id}", settings.lake.lock_wait_s):
        lake.discard_staging()
        try:
            yield workspace
        finally:
            lake.discard_staging(run.run_id)
