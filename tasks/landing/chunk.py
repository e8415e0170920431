"""What every reader hands on: rows as text, not yet judged, and lines that are no rows at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from lake.table import COUNT, TEXT, Table

LINE = "_line"
BROKEN = "_broken"


class FileRefusedError(Exception):
    """A whole file goes to quarantine; `rules` say why. Never leaves this package."""

    def __init__(self, *rules: str) -> None:
        super().__init__(*rules)
        self.rules = rules


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A row refused before its columns could be told apart.

    Args:
        line: Line in the file, from 1.
        rules: What it broke.
        payload: The text as received.
    """

    line: int
    rules: tuple[str, ...]
    payload: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of one file.

    Args:
        rows: The declared payload columns as text, `_line`, and `_broken`: rules already known to be broken, or NULL.
        payloads: Each row as received; None where that is JSON of its columns.
        refused: Lines that are no rows.
    """

    rows: pa.Table
    payloads: Sequence[str] | None = None
    refused: tuple[RefusedLine, ...] = ()

    @property
    def received(self) -> int:
        return int(self.rows.num_rows) + len(self.refused)


def text_rows(
    table: Table, columns: Sequence[pa.Array], lines: pa.Array, broken: Sequence[list[str] | None] | None = None
) -> pa.Table:
    """`Chunk.rows` of text columns in the order of the table's payload."""
    known = pa.nulls(len(lines), pa.list_(TEXT)) if broken is None else pa.array(broken, pa.list_(TEXT))
    names = [c.name for c in table.payload]
    return pa.Table.from_arrays([*columns, lines.cast(COUNT), known], names=[*names, LINE, BROKEN])


def column_rules(table: Table, names: Sequence[str]) -> list[str]:
    """Rules broken by column names that are not exactly the declared ones, in any order."""
    expected = [c.name for c in table.payload]
    doubled = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    return [
        *(f"unknown_column:{shown(name)}" for name in dict.fromkeys(names) if name not in expected),
        *(f"missing_column:{name}" for name in expected if name not in names),
        *(f"duplicate_column:{shown(name)}" for name in doubled),
    ]


def shown(name: str) -> str:
    """A name from outside, short and storable enough for a rule."""
    longest = 100
    text = name if len(name) <= longest else name[:longest] + "…"
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
