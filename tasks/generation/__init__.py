"""The made-up company: files of a product, its marketing, billing, support and experiments, with known truth.

`generate` writes them; `company` holds every parameter; ``_ground_truth.json`` beside the files says what is in them.
"""

from __future__ import annotations

from tasks.generation.generate import GenerationReport, generate
from tasks.generation.source_files import FORMATS

__all__ = ["FORMATS", "GenerationReport", "generate"]
