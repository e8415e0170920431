"""The glossary page: complete, and the one that is committed."""

from __future__ import annotations

from lake.tables import MARTS
from sql.glossary import GLOSSARY, render


def test_the_committed_glossary_is_the_declared_one() -> None:
    assert GLOSSARY.read_text(encoding="utf-8") == render(), "run: python -m sql.glossary"


def test_every_column_of_every_mart_has_a_row_of_five_cells() -> None:
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [c.name for mart in MARTS for c in mart.columns]
    assert {row.replace("\\|", "").count("|") for row in rows} == {6}
