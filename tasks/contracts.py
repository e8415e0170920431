"""Soda contracts: where they lie, what identifies one, and the linter that refuses what Soda would pass over."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from lake.errors import ContractError
from lake.settings import PROJECT_ROOT
from lake.table import Table
from lake.tables import BRONZE, GOLD, SILVER
from tasks.contract_keys import Found
from tasks.contract_policy import POLICY
from tasks.contract_shape import (
    checks_are_told_apart,
    checks_are_well_formed,
    columns_as_declared,
    sql_reads_known_columns,
    top_keys,
)
from tasks.contract_yaml import Block, Contract, ContractProblem, Items, read_contract, shown

CONTRACTS = PROJECT_ROOT / "soda" / "contracts"


def no_variables(contract: Contract, table: Table) -> Found:  # noqa: ARG001 - all rules look alike
    """A contract means the same everywhere: Soda would fill ``${...}`` from the environment."""
    yield from _variables(contract.root)


RULES: tuple[Callable[[Contract, Table], Found], ...] = (
    top_keys,
    columns_as_declared,
    checks_are_well_formed,
    checks_are_told_apart,
    sql_reads_known_columns,
    no_variables,
    *POLICY,
)


def contract_path(table: Table) -> Path:
    """The file of a table's contract, there or not."""
    return CONTRACTS / table.layer / f"{table.name}.yaml"


def contract_hash(table: Table) -> str:
    """SHA-256 of the contract file's bytes, as hexadecimal digits.

    Raises:
        ContractError: The table has no contract.
    """
    path = contract_path(table)
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise _unreadable(table, path, error) from None


def mentioned_tables(table: Table, names: Iterable[str]) -> list[str]:
    """Those of `names` that a table's contract speaks of, as ``layer/name`` or ``layer.name``.

    Raises:
        ContractError: The table has no contract.
    """
    path = contract_path(table)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise _unreadable(table, path, error) from None
    return [name for name in names if name in text or name.replace(".", "/") in text]


def lint_contract(table: Table, path: Path) -> list[ContractProblem]:
    """Everything a contract says that it cannot mean or does not say although it must, by line.

    Args:
        table: Declaration the contract is held against.
        path: The contract file.
    """
    contract, problems = read_contract(path)
    if not contract.root:
        return problems or [ContractProblem(path, 1, "the contract is empty")]
    found = {problem for rule in RULES for problem in rule(contract, table)}
    problems += [ContractProblem(path, line, message) for line, message in found]
    return sorted(problems, key=lambda p: (p.line, p.message))


def require_sound(table: Table) -> None:
    """Stop when a table's contract is not sound.

    Raises:
        ContractError: Names file, line and message of the first problem and counts the others.
    """
    problems = lint_contract(table, contract_path(table))
    if problems:
        first, others = problems[0], len(problems) - 1
        more = f" (and {others} more)" if others else ""
        raise ContractError(
            f"{first.message}{more}", where=first.where, mend="list all problems with: ./lakehouse test tests/tasks"
        )


def lint_all() -> list[ContractProblem]:
    """Problems of all contracts, tables without a contract and contracts without a table."""
    tables = {contract_path(table): table for table in (*BRONZE, *SILVER, *GOLD)}
    strays = sorted({p for p in CONTRACTS.rglob("*") if p.is_file()} - tables.keys())
    return [
        *(problem for path, table in tables.items() for problem in lint_contract(table, path)),
        *(ContractProblem(path, 1, "no table is declared for this contract") for path in strays),
    ]


def _unreadable(table: Table, path: Path, error: OSError) -> ContractError:
    return ContractError(
        f"{table.full_name} has no readable contract: {error.strerror}",
        where=shown(path),
        mend="write one; CONTRIBUTING.md, 'Add a table', says how",
    )


def _variables(value: object, line: int = 1) -> Found:
    if isinstance(value, Block):
        for key, inner in value.items():
            yield from _variables(inner, value.line_of(key))
    elif isinstance(value, Items):
        for inner, inner_line in zip(value, value.lines, strict=True):
            yield from _variables(inner, inner_line)
    elif isinstance(value, str) and "${" in value:
        yield line, f"variables are refused: {value!r}"
