"""The benchmark of ingest as a picture: requests and rows a second, and how long an answer takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SIZE_INCHES = (11.0, 5.0)
_DOTS_PER_INCH = 150
# Source: Okabe and Ito, Color Universal Design, 2008.
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#E69F00", "#009E73", "#999999"
_LATENCIES = (("p50_ms", "half of the answers within", "o", _GREEN), ("p99_ms", "99 of 100 within", "s", _ORANGE))


def draw(runs: Sequence[dict[str, Any]], target: Path) -> None:
    """Write the picture as PNG; both axes are logarithmic.

    Args:
        runs: Figures by case.
        target: File to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    rates, times = figure.subplots(1, 2, sharey=True)
    places = range(len(runs))
    bars = rates.barh(places, [run["rows_per_s"] for run in runs], color=[_colour(run) for run in runs])
    rates.bar_label(bars, labels=[f"{run['rows_per_s']:,.0f}" for run in runs], padding=3)
    rates.set_yticks(places, [run["case"] for run in runs])
    rates.invert_yaxis()
    rates.set_title("rows a second", loc="left")
    rates.margins(x=0.25)
    for key, label, marker, colour in _LATENCIES:
        times.scatter([run["latency"][key] for run in runs], places, label=label, marker=marker, color=colour)
    times.set_title("milliseconds to the answer", loc="left")
    times.legend(frameon=False)
    for axes in (rates, times):
        axes.set_xscale("log")
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=_DOTS_PER_INCH)


def _colour(run: dict[str, Any]) -> str:
    """Ours, the naive service, and grey for what writes nothing."""
    if not run["table"]["rows"]:
        return _GREY
    return _ORANGE if run["server"] == "naive" else _BLUE
