"""Commands that read the SQL models: where a column comes from, and the catalogue of all models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from cli.output import answers, print_json
from lake.errors import ModelError

if TYPE_CHECKING:
    from sql.lineage import LineageNode


def lineage(column: str, *, json: bool = False, mermaid: bool = False) -> None:
    """Show where a column's values come from, step by step down to bronze.

    Example: `./lakehouse sql lineage gold.daily_kpis.net_revenue`

    Parameters
    ----------
    column
        Full name, such as gold.revenue.mrr_end; `<table>.*` asks for a table's rows.
    json
        Print as JSON.
    mermaid
        Print as the text of a Mermaid diagram.
    """
    from sql.lineage import lineage as trace
    from sql.lineage import to_json, to_mermaid
    from sql.model import MODELS, load_models

    node = trace(load_models(MODELS), column)
    if json:
        print_json(to_json(node))
    elif mermaid:
        answers.out(to_mermaid(node), end="", highlight=False)
    else:
        _print_tree(node)


def catalogue(*, check: bool = False) -> None:
    """Write docs/models.md, the catalogue of all models.

    Example: `./lakehouse sql catalogue --check`

    Parameters
    ----------
    check
        Write nothing; fail when the page is not the one the models make.
    """
    from sql.catalogue import CATALOGUE, render
    from sql.model import MODELS, load_models

    page = render(load_models(MODELS))
    current = CATALOGUE.read_text(encoding="utf-8") if CATALOGUE.exists() else None
    if check and page != current:
        raise ModelError("does not say what the models say", where=str(CATALOGUE), mend="./lakehouse sql catalogue")
    if page != current:
        CATALOGUE.write_text(page, encoding="utf-8")
    answers.print(f"{CATALOGUE}: {'current' if page == current else 'renewed'}", highlight=False)


def _print_tree(root: LineageNode) -> None:
    """One line a node, deeper ones further right; what was shown before is named, not repeated."""
    waiting, shown = [(root, 0)], set()
    while waiting:
        node, depth = waiting.pop()
        repeated = node.column in shown and bool(node.children)
        line = Text("  " * depth).append(node.column, style="bold")
        if repeated:
            line.append("   as above", style="dim")
        elif node.expression:
            line.append(f" = {node.expression}").append(f"   {node.where}", style="dim")
        answers.print(line, soft_wrap=True)
        if not repeated:
            shown.add(node.column)
            waiting.extend((child, depth + 1) for child in reversed(node.children))
