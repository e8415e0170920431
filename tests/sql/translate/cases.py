"""The SELECTs of `cases.sql`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_CASE = re.compile(
    r"^-- (?P<name>[^\[\n]*?)(?: \[refused: (?P<refused>[^\]]*)\])?\n(?P<select>[^-\n][^;]*);$", re.MULTILINE
)


@dataclass(frozen=True)
class Case:
    """One SELECT.

    Args:
        name: What it shows.
        select: In DuckDB's dialect, over `edges.TABLES`.
        refused: Targets that must refuse it.
    """

    name: str
    select: str
    refused: frozenset[str]


CASES = tuple(
    Case(found["name"], found["select"], frozenset(re.findall(r"\w+", found["refused"] or "")))
    for found in _CASE.finditer((Path(__file__).with_name("cases.sql")).read_text())
)
