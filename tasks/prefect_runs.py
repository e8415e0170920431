"""What is peculiar to a run on a Prefect server: its name, its turn to write, and what is cleared away after a kill."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from prefect import Flow, runtime
from prefect.client.schemas.objects import FlowRun, State
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency

from lake.configuration import load_settings
from lake.errors import LakeBusyError
from lake.lake import Lake
from lake.lock import writer_lock

WRITER_SLOT = "lakehouse-writer"
# How long a killed run keeps the others waiting; the shortest that Prefect allows. A living one renews its lease.
LEASE_S = 60
logger = logging.getLogger("lakehouse")


def run_name() -> str:
    """Flow and moment, such as ``medallion 2026-01-31 08:00:00``; scheduled runs by the moment they were due."""
    at = runtime.flow_run.scheduled_start_time
    return f"{runtime.flow_run.flow_name} {at:%Y-%m-%d %H:%M:%S}"


@contextmanager
def writer_slot(wait_s: float) -> Iterator[None]:
    """Hold the server's one writer slot, so that runs wait their turn instead of failing on the lake's lock.

    A run that is no deployment's, or whose server knows no such slot, holds none: the lock is what protects the lake.

    Args:
        wait_s: Longest wait for the runs before it, seconds.

    Raises:
        LakeBusyError: Others still hold it after `wait_s`.
    """
    if runtime.deployment.id is None:
        yield
        return
    with ExitStack() as held:
        try:
            # The lease ends with a killed holder; a renewal that fails must not end a run that the lock protects.
            held.enter_context(
                concurrency(
                    WRITER_SLOT, timeout_seconds=wait_s, lease_duration=LEASE_S, raise_on_lease_renewal_failure=False
                )
            )
        except TimeoutError:
            raise LakeBusyError(
                f"other runs held the writer's slot for {wait_s:g} s",
                where=WRITER_SLOT,
                mend="run again when they have ended, or raise flow.writer_wait_s",
            ) from None
        except ConcurrencySlotAcquisitionError as error:
            logger.warning(
                "the server gave no writer's slot (%s); the lake's lock alone decides whose turn it is", error
            )
        yield


def discard_candidates(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect's hook
    """Hook of crashed and cancelled runs: a killed process could not clear its candidates away itself."""
    lake = Lake(load_settings(flow_run.parameters.get("config")).lake.root)
    try:
        with writer_lock(lake, f"clearing after {flow_run.name}", 0):
            lake.discard_staging()
    except LakeBusyError:
        logger.info("another run writes to the lake; it cleared the candidates of %s when it began", flow_run.name)
