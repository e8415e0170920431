"""The model catalogue, written from SQL, declarations and contracts; run ``python -m sql.catalogue`` after a change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from lake.errors import ContractError
from lake.settings import PROJECT_ROOT
from lake.table import Column, Layer
from lake.tables import BY_NAME
from sql.engines.duckdb import duckdb_type
from sql.model import MODELS, Model, load_models, order

CATALOGUE = PROJECT_ROOT / "docs" / "models.md"
_CONTRACTS = PROJECT_ROOT / "soda" / "contracts"
_GRAIN = "Grain:"
_HEAD = """\
# Models

Every model: one SELECT a file, in DuckDB's dialect. `python -m sql.catalogue` writes this page from the models in
`sql/models/`, the declarations in `lake/tables/` and the contracts in `soda/contracts/`. What a metric means is in the
[glossary](glossary.md); `./lakehouse sql lineage <layer>.<table>.<column>` leads a column back to bronze.
"""


def render(models: Mapping[str, Model]) -> str:
    """The page as Markdown: a diagram of what reads what, then one section per model, each after those it reads."""
    return "\n".join((_HEAD, _diagram(models), *(_section(model, models) for model in order(models))))


def _diagram(models: Mapping[str, Model]) -> str:
    names = sorted(models.keys() | {name for model in models.values() for name in model.depends_on})
    lines = ["```mermaid", "flowchart LR"]
    for layer in (Layer.BRONZE, Layer.SILVER, Layer.GOLD):
        inside = [name for name in names if BY_NAME[name].layer is layer]
        lines += [f"  subgraph {layer}", *(f'    {_node(name)}["{BY_NAME[name].name}"]' for name in inside), "  end"]
    for name, model in sorted(models.items()):
        lines += [f"  {_node(source)} --> {_node(name)}" for source in sorted(model.depends_on)]
    return "\n".join((*lines, "```", ""))


def _node(name: str) -> str:
    return name.replace(".", "_")


def _section(model: Model, models: Mapping[str, Model]) -> str:
    table = model.table
    about, grain = comment(model)
    place = model.path.relative_to(PROJECT_ROOT)
    contract = _CONTRACTS / table.layer / f"{table.name}.yaml"
    readers = sorted(name for name, other in models.items() if table.full_name in other.depends_on)
    lines = [
        f"## {table.full_name}",
        "",
        _escaped(table.description),
        "",
        f"- Model: [{place}](../{place}): {_escaped(about)}",
        f"- Grain: {_escaped(grain)}",
        f"- Key: {', '.join(f'`{column}`' for column in table.key)}",
        f"- Reads: {_links(sorted(model.depends_on), models)}",
        f"- Read by: {_links(readers, models)}",
        f"- Contract: [{contract.relative_to(PROJECT_ROOT)}](../{contract.relative_to(PROJECT_ROOT)}), "
        f"{count_checks(contract)} checks",
        "",
        "| column | type | required | what it says |",
        "|---|---|---|---|",
        *(_row(column) for column in table.columns),
        "",
    ]
    return "\n".join(lines)


def comment(model: Model) -> tuple[str, str]:
    """What a model's leading comment says of it, and of its grain; empty where it says nothing."""
    words: list[str] = []
    for line in model.sql.splitlines():
        if not line.startswith("--"):
            break
        words.append(line.removeprefix("--").strip())
    about, _, grain = " ".join(words).partition(_GRAIN)
    return about.strip(), grain.strip()


def count_checks(contract: Path) -> int:
    """Checks in a Soda contract: those of the table and those of its columns.

    Raises:
        ContractError: It cannot be read.
    """
    try:
        written = yaml.safe_load(contract.read_text(encoding="utf-8"))
        lists = [written.get("checks"), *(column.get("checks") for column in written.get("columns") or ())]
        return sum(len(check) for checks in lists for check in checks or ())
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise ContractError(f"no readable contract: {error}", where=str(contract)) from None


def _links(names: list[str], models: Mapping[str, Model]) -> str:
    return ", ".join(f"[{name}](#{name.replace('.', '')})" if name in models else name for name in names) or "nobody"


def _row(column: Column) -> str:
    required = "yes" if column.required else ""
    kind = duckdb_type(column.type).lower()
    return f"| `{column.name}` | {kind} | {required} | {_escaped(column.description)} |"


def _escaped(text: str) -> str:
    # Markdown would read these signs as a cell's end, emphasis or a tag.
    for sign in ("\\", "|", "*", "<"):
        text = text.replace(sign, f"\\{sign}")
    return text


if __name__ == "__main__":
    CATALOGUE.write_text(render(load_models(MODELS)), encoding="utf-8")
