"""Every key of every contract, dropped or misspelt, shuts the gate; Soda alone would open it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from lake.table import Table
from lake.tables import BRONZE, GOLD, SILVER
from lake.tables import table as declared
from tasks.contracts import contract_path, lint_contract
from tasks.soda_run import run_soda

TABLES = (*BRONZE, *SILVER, *GOLD)
Place = tuple[str | int, ...]

MAY_BE_DROPPED: frozenset[str] = frozenset()
"""Keys whose absence leaves a contract that means the same; none so far, and each new one is a decision."""


def keys(node: Any, place: Place = ()) -> Iterator[Place]:
    """The place of every key in a document."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*place, key)
            yield from keys(value, (*place, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from keys(value, (*place, index))


def items(node: Any, place: Place = ()) -> Iterator[Place]:
    """The place of every column and check in a document."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from items(value, (*place, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            if isinstance(value, dict):
                yield (*place, index)
                yield from items(value, (*place, index))


def parent(document: Any, place: Place) -> Any:
    for step in place[:-1]:
        document = document[step]
    return document


def renamed(block: dict[str, Any], key: str, name: str) -> None:
    """Rename a key where it stands."""
    items = [(name if k == key else k, v) for k, v in block.items()]
    block.clear()
    block.update(items)


MISSPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda key: key[:-1],
    lambda key: f"{key}s",
    lambda key: key[0] + key[2] + key[1] + key[3:] if key[1] != key[2] else key.upper(),
    lambda key: key.replace("_", "-") if "_" in key else key.capitalize(),
)
"""A letter lost, one too many, two swapped, another way of writing; taken in turn."""


def is_red(table: Table, document: Any, file: Path) -> bool:
    file.write_text(yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False))
    return bool(lint_contract(table, file))


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.full_name)
def test_a_dropped_key_is_seen(table: Table, tmp_path: Path) -> None:
    original = yaml.safe_load(contract_path(table).read_text())
    assert not is_red(table, original, tmp_path / "original.yaml"), "the mutants would be red for another reason"
    survivors = []
    for place in keys(original):
        mutant = copy.deepcopy(original)
        del parent(mutant, place)[place[-1]]
        if place[-1] not in MAY_BE_DROPPED and not is_red(table, mutant, tmp_path / "mutant.yaml"):
            survivors.append(place)
    assert survivors == []


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.full_name)
def test_a_misspelt_key_is_seen(table: Table, tmp_path: Path) -> None:
    original = yaml.safe_load(contract_path(table).read_text())
    survivors = []
    words = cycle(MISSPELLINGS)
    for place in keys(original):
        mutant, word = copy.deepcopy(original), next(words)(str(place[-1]))
        renamed(parent(mutant, place), str(place[-1]), word)
        if not is_red(table, mutant, tmp_path / "mutant.yaml"):
            survivors.append((*place, word))
    assert survivors == []


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.full_name)
def test_a_removed_column_or_check_is_seen_save_rules_only_the_contract_knows(table: Table, tmp_path: Path) -> None:
    original = yaml.safe_load(contract_path(table).read_text())
    survivors = []
    for place in items(original):
        mutant = copy.deepcopy(original)
        removed = parent(mutant, place).pop(place[-1])
        if not is_red(table, mutant, tmp_path / "mutant.yaml"):
            survivors.append(removed)
    assert all(_only_the_contract_knows(check) for check in survivors), survivors


def _only_the_contract_knows(check: dict[str, Any]) -> bool:
    """Whether a check is a rule in SQL, a lower bound or a format, which no declaration asks for."""
    lone = ({"valid_min"}, {"valid_min_length"}, {"valid_format"})
    return check.keys() == {"failed_rows"} or check.get("invalid", {}).keys() in lone


@pytest.mark.parametrize(
    ("contract", "misspelt"),
    [
        ("chekcs: [{row_count: {threshold: {must_be: 9}}}]", "chekcs"),
        ("checks: [{duplicate: {columns: [plan_id], treshold: {must_be: 9}}}]", "treshold"),
    ],
)
def test_soda_alone_passes_what_the_linter_refuses(contract: str, misspelt: str, tmp_path: Path) -> None:
    """The trap this file guards against; the day Soda sees it too, this test says so."""
    file = tmp_path / "plans.yaml"
    file.write_text(f"dataset: lakehouse/silver/plans\ncolumns: [{{name: plan_id}}]\n{contract}\n")
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA silver; CREATE TABLE silver.plans AS SELECT 'p1' AS plan_id")
        verdict = run_soda(connection, file, datetime(2026, 1, 31, tzinfo=UTC))
    assert verdict.errors == ()
    assert all(result.outcome.value == "PASSED" for result in verdict.results)
    assert any(misspelt in problem.message for problem in lint_contract(declared("silver.plans"), file))
