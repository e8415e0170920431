"""The catalogue of models: complete, and the one that is committed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli import commands_lineage
from lake.errors import ContractError, ModelError
from lake.settings import PROJECT_ROOT
from lake.tables import MARTS, SILVER
from sql.catalogue import CATALOGUE, comment, count_checks, render
from sql.model import Model
from tasks.contract_yaml import read_contract
from tasks.contracts import contract_path


def test_the_committed_catalogue_is_what_the_models_say(models: dict[str, Model]) -> None:
    assert CATALOGUE.read_text(encoding="utf-8") == render(models), "run: python -m sql.catalogue"


def test_every_model_has_a_section_and_every_column_a_row_of_four_cells(models: dict[str, Model]) -> None:
    sections = {part.split("\n", 1)[0]: part for part in render(models).split("\n## ")[1:]}
    assert sections.keys() == {t.full_name for t in (*SILVER, *MARTS)}
    for table in (*SILVER, *MARTS):
        rows = [line for line in sections[table.full_name].splitlines() if line.startswith("| `")]
        assert [row.split("`")[1] for row in rows] == list(table.column_names)
        assert {row.replace("\\|", "").count("|") for row in rows} == {5}


def test_checks_are_counted_as_the_gate_counts_them() -> None:
    for table in (*SILVER, *MARTS):
        contract, _ = read_contract(contract_path(table))
        assert count_checks(contract_path(table)) == len(contract.checks), table.full_name


def test_every_link_leads_somewhere(models: dict[str, Model]) -> None:
    page = render(models)
    anchors = {heading.replace(".", "") for heading in re.findall(r"^## (.+)$", page, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", page):
        if target.startswith("#"):
            assert target[1:] in anchors
        else:
            assert (CATALOGUE.parent / target).exists(), target


def test_the_diagram_has_every_edge_once(models: dict[str, Model]) -> None:
    edges = re.findall(r"^  (\w+) --> (\w+)$", render(models), re.MULTILINE)
    assert len(edges) == len(set(edges))
    assert set(edges) == {
        (source.replace(".", "_"), name.replace(".", "_")) for name, m in models.items() for source in m.depends_on
    }


def test_upstream_and_downstream_are_told(models: dict[str, Model]) -> None:
    section = render(models).split("\n## silver.payments\n")[1].split("\n## ")[0]
    assert "- Reads: bronze.payments, [silver.invoices](#silverinvoices)\n" in section
    readers = re.findall(r"\[([\w.]+)\]", next(line for line in section.splitlines() if line.startswith("- Read by")))
    assert readers == [
        "gold.channel_performance", "gold.customer_health", "gold.daily_kpis", "gold.revenue", "silver.refunds"
    ]  # fmt: skip


def test_every_model_says_what_it_is_and_what_a_row_stands_for(models: dict[str, Model]) -> None:
    for model in models.values():
        about, grain = comment(model)
        assert about.endswith("."), model.name
        assert grain.startswith("one row per "), model.name
        assert grain.endswith("."), model.name


def test_a_grain_may_run_over_several_lines(models: dict[str, Model]) -> None:
    sql = "-- What it is,\n-- in words.\n-- Grain: one row\n-- per day.\nselect 1 -- Grain: no"
    model = Model("gold.revenue", PROJECT_ROOT / "x.sql", sql, frozenset())
    assert comment(model) == ("What it is, in words.", "one row per day.")


def test_the_command_renews_a_page_and_checks_without_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: dict[str, Model]
) -> None:
    page = tmp_path / "models.md"
    monkeypatch.setattr("sql.catalogue.CATALOGUE", page)
    with pytest.raises(ModelError, match="lakehouse sql catalogue"):
        commands_lineage.catalogue(check=True)
    assert not page.exists()
    commands_lineage.catalogue()
    commands_lineage.catalogue(check=True)
    assert page.read_text(encoding="utf-8") == render(models)


@pytest.mark.parametrize("text", ["- a list", "checks: 1", "a: [", None])
def test_a_contract_that_is_none_is_named(tmp_path: Path, text: str | None) -> None:
    contract = tmp_path / "contract.yaml"
    if text is not None:
        contract.write_text(text)
    with pytest.raises(ContractError) as caught:
        count_checks(contract)
    assert caught.value.where == str(contract)
