"""Generated sources: files of a made-up company, dropped into the inbox like anybody's."""

from __future__ import annotations

import logging

from tasks.generation import GenerationReport, generate
from tasks.generation.generate import Progress
from tasks.workspace import Workspace

TENTHS = 10

logger = logging.getLogger("lakehouse")


def generate_sources(workspace: Workspace) -> GenerationReport | None:
    """Drop the generated files into the inbox; the same files already there are left alone.

    Returns:
        What they hold; None when generate.enabled is off.
    """
    settings = workspace.settings
    return generate(settings.generate, settings.land.inbox) if settings.generate.enabled else None


def log_tenths(of_what: str = "people") -> Progress:
    """Progress as ten log lines, each a step for a bar."""
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        while told < TENTHS * done // total:
            told += 1
            logger.info("generated %d0%% of %s %s", told, f"{total:,}", of_what, extra={"step": "generate"})

    return tell
