"""How well the rules find what was injected into generated transactions, with intervals.

`evaluate` joins anomalies, transactions and truth in DuckDB; `bootstrap` resamples accounts; `draw` makes the picture.
"""

from __future__ import annotations

from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.figures import DecoyFigures, Estimate, Evaluation, KindFigures, RuleFigures, to_dict
from tasks.evaluation.of_lake import FIGURES_NAME, PICTURE_NAME, evaluate_generated, evaluate_lake
from tasks.evaluation.picture import draw

__all__ = [
    "FIGURES_NAME",
    "PICTURE_NAME",
    "DecoyFigures",
    "Estimate",
    "Evaluation",
    "KindFigures",
    "RuleFigures",
    "draw",
    "evaluate",
    "evaluate_generated",
    "evaluate_lake",
    "to_dict",
]
