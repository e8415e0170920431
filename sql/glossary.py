"""The metric glossary, written from the declarations; run ``python -m sql.glossary`` after changing one."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from lake.table import Column, Table
from lake.tables import MARTS

GLOSSARY = Path(__file__).resolve().parent.parent / "docs" / "glossary.md"
_HEAD = """\
# Glossary

Every metric, defined once: in `lake/tables/gold.py`, from which `python -m sql.glossary` writes this page and which
the models in `sql/models/gold/` compute. Days and months are UTC. Money is decimal, in the company's one currency.
A column without a formula is a dimension: it says what its row is about.
"""
_TYPE_NAMES = {
    "string": "text",
    "int64": "whole number",
    "double": "number",
    "bool": "true or false",
    "date32[day]": "date",
    "timestamp[us, tz=UTC]": "moment, UTC",
}


def render(tables: tuple[Table, ...] = MARTS) -> str:
    """The page as Markdown: one section per table, one row per column, in declared order."""
    return "\n".join((_HEAD, *(_section(table) for table in tables)))


def _section(table: Table) -> str:
    lines = [
        f"## {table.name}",
        "",
        f"{table.description} Key: {', '.join(f'`{column}`' for column in table.key)}. "
        f"Model: `sql/models/{table.layer}/{table.name}.sql`.",
        "",
        "| column | type | what it says | formula | source |",
        "|---|---|---|---|---|",
        *(_row(column) for column in table.columns),
        "",
    ]
    return "\n".join(lines)


def _row(column: Column) -> str:
    cells = (f"`{column.name}`", _type_name(column.type), column.description, column.formula, column.source)
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"money, decimal({kind.precision},{kind.scale})"
    return _TYPE_NAMES[str(kind)]


def _cell(text: str | None) -> str:
    # Outside code, Markdown would read these signs as a cell's end, emphasis or a tag.
    escaped = text or ""
    if not escaped.startswith("`"):
        for sign in ("\\", "|", "*", "<"):
            escaped = escaped.replace(sign, f"\\{sign}")
    return escaped


if __name__ == "__main__":
    GLOSSARY.write_text(render(), encoding="utf-8")
