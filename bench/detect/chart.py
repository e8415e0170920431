"""The benchmark of detection as a picture: seconds of each job, whole process and warm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SIZE_INCHES = (9.0, 3.6)
_DOTS_PER_INCH = 150
# Source: Okabe and Ito, Color Universal Design, 2008.
_MEASURES = (("process_s", "whole process", "#0072B2"), ("warm_s", "second run in a session", "#E69F00"))
_BAR = 0.36


def draw(runs: Sequence[dict[str, Any]], rows: int, target: Path) -> None:
    """Write the picture as PNG.

    Args:
        runs: Figures by job.
        rows: Transactions judged.
        target: File to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    for offset, (key, label, colour) in zip((-_BAR / 2, _BAR / 2), _MEASURES, strict=True):
        known = [(index + offset, run[key]) for index, run in enumerate(runs) if run[key] is not None]
        bars = axes.barh([y for y, _ in known], [seconds for _, seconds in known], _BAR, label=label, color=colour)
        axes.bar_label(bars, fmt="%.1f s", padding=3)
    axes.set_yticks(range(len(runs)), [run["job"] for run in runs])
    axes.invert_yaxis()
    axes.set_xlabel("seconds, two cores")
    axes.set_title(f"{rows:,} transactions judged, Delta in and out", loc="left")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(target, dpi=_DOTS_PER_INCH)
