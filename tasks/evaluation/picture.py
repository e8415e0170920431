"""The evaluation as a picture: precision, recall and value-weighted recall of each rule, and its alerts a day."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lake.errors import MissingToolError
from tasks.evaluation.bootstrap import COVERAGE
from tasks.evaluation.figures import Estimate, Evaluation
from tasks.export import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE_INCHES = (11.0, 6.0)
_DOTS_PER_INCH = 150
_INK = "#333333"
_GRID = "#dddddd"
# Colours that stay apart for every kind of colour vision, and a shape each for print without colour.
# Source: Okabe and Ito, Color Universal Design, 2008.
_MEASURES = (
    ("precision", "precision", "#0072B2", "o"),
    ("recall", "recall", "#D55E00", "s"),
    ("value_weighted_recall", "recall by amount", "#009E73", "D"),
)
_ALERTS = "#56B4E9"
# Distance of a rule's measures from each other, in rows.
_APART = 0.24
_LABEL_AT = 1.06


def draw(evaluation: Evaluation, target: Path) -> None:
    """Write the picture as PNG; the same evaluation gives the same bytes.

    Args:
        evaluation: What to draw.
        target: File to write; it appears whole or not at all.

    Raises:
        MissingToolError: matplotlib is not installed.
        StorageError: The directory cannot be written, or the disk is full.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingToolError(
            "matplotlib is not installed, and pictures need it",
            mend="python -m pip install matplotlib, or leave the picture out: the table and JSON say the same",
        ) from None
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    ratios, alerts = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1.4])
    _ratios(ratios, evaluation)
    _alerts(alerts, evaluation)
    _frame(figure, ratios, evaluation)
    with whole_file(target) as unfinished:
        # Its own version, which matplotlib would write too, makes bytes differ.
        figure.savefig(unfinished, format="png", metadata={"Software": None})


def _ratios(axes: Axes, evaluation: Evaluation) -> None:
    for at, (name, label, colour, shape) in enumerate(_MEASURES):
        offset = (at - 1) * _APART
        estimates: list[Estimate] = [getattr(rule, name) for rule in evaluation.rules]
        rows = [row + offset for row in range(len(estimates))]
        _points(axes, estimates, rows, (colour, shape, label))
        for estimate, row in zip(estimates, rows, strict=True):
            axes.text(_LABEL_AT, row, _share(estimate.value), color=colour, va="center", fontsize=9)
    axes.set_xlim(-0.03, 1.2)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_title(f"share, with {COVERAGE:.0%} interval", fontsize=11, color=_INK)


def _share(value: float | None) -> str:
    if value is None:
        return "undefined"
    text = f"{value:.3f}"
    # One false alarm in ten thousand must not read as none.
    return "> 0.999" if text == "1.000" and value < 1 else text


def _points(axes: Axes, estimates: list[Estimate], rows: list[float], look: tuple[str, str, str]) -> None:
    colour, shape, label = look
    shown = [(e.value, row) for e, row in zip(estimates, rows, strict=True) if e.value is not None]
    axes.plot([v for v, _ in shown], [r for _, r in shown], shape, color=colour, label=label, markersize=7, zorder=3)
    for estimate, row in zip(estimates, rows, strict=True):
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [row, row], "|-", color=colour, linewidth=2, zorder=2)


def _alerts(axes: Axes, evaluation: Evaluation) -> None:
    estimates = [rule.alerts_per_day for rule in evaluation.rules]
    values = [e.value or 0.0 for e in estimates]
    highest = max([*values, *(e.high or 0.0 for e in estimates)]) or 1.0
    axes.barh(range(len(values)), values, height=0.5, color=_ALERTS, zorder=2)
    for row, estimate in enumerate(estimates):
        end = max(estimate.value or 0.0, estimate.high or 0.0)
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [row, row], "|-", color=_INK, linewidth=1.5, zorder=3)
        axes.text(end + 0.04 * highest, row, f"{estimate.value or 0.0:,.1f}", color=_INK, va="center", fontsize=9)
    axes.set_xlim(0, 1.35 * highest)
    axes.set_title("alerts a day", fontsize=11, color=_INK)
    axes.tick_params(left=False, labelleft=False)


def _frame(figure: Figure, axes: Axes, evaluation: Evaluation) -> None:
    axes.set_yticks(range(len(evaluation.rules)))
    axes.set_yticklabels([f"{r.rule}\n{r.injected:,} injected" for r in evaluation.rules], color=_INK, fontsize=10)
    axes.set_ylim(len(evaluation.rules) - 0.5, -0.5)
    for each in figure.axes:
        each.grid(axis="x", color=_GRID, zorder=0)
        each.spines[["top", "right", "left"]].set_visible(False)
        each.tick_params(axis="x", colors=_INK, labelsize=9)
        each.tick_params(axis="y", length=0)
        for between in range(1, len(evaluation.rules)):
            each.axhline(between - 0.5, color=_GRID, linewidth=0.8, zorder=0)
    decoys = sum(kind.decoys for kind in evaluation.decoys)
    figure.suptitle("Anomaly detection against what was injected", fontsize=14, x=0.02, ha="left", color=_INK)
    figure.text(
        0.02,
        0.915,
        f"{evaluation.transactions:,} transactions of {evaluation.accounts:,} accounts in {evaluation.days:,} days; "
        f"{evaluation.decoys_flagged:,} of {decoys:,} decoys flagged; "
        f"{evaluation.replicates:,} bootstrap replicates over accounts",
        fontsize=9,
        color=_INK,
    )
    figure.legend(*axes.get_legend_handles_labels(), loc="lower left", ncols=3, frameon=False, bbox_to_anchor=(0.13, 0))
    figure.subplots_adjust(left=0.15, right=0.98, top=0.84, bottom=0.13, wspace=0.04)
