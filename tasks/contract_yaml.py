"""Contracts as written: YAML in which every key knows its line, and the checks that stand in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lake.settings import PROJECT_ROOT

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SCALARS = yaml.constructor.SafeConstructor()


@dataclass(frozen=True, slots=True)
class ContractProblem:
    """Something a contract says that it cannot mean.

    Args:
        file: Contract file.
        line: Line in it, from 1.
        message: What is wrong and what may stand there.
    """

    file: Path
    line: int
    message: str

    @property
    def where(self) -> str:
        return f"{shown(self.file)}:{self.line}"

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def shown(path: Path) -> str:
    """A path as people type it: relative to the project where it lies inside."""
    return str(path.relative_to(PROJECT_ROOT)) if path.is_relative_to(PROJECT_ROOT) else str(path)


SQL_CHECKS = frozenset({"failed_rows", "metric"})
"""Check types whose meaning is SQL."""


class Block(dict[str, Any]):
    """A YAML mapping with its line and the line of each key, from 1."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}

    def line_of(self, key: str) -> int:
        return self.lines.get(key, self.line)


class Items(list[Any]):
    """A YAML list with the line of each item, from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


@dataclass(frozen=True, slots=True)
class DeclaredCheck:
    """One check as the contract declares it.

    Args:
        type: Soda's check type, such as ``missing``.
        column: Column it stands under; None for a check of the whole table.
        body: Its keys; empty when nothing stands behind the colon.
        line: Line of the check, from 1.
        is_block: Whether keys or nothing stand behind the colon, as they must.
    """

    type: str
    column: str | None
    body: Block
    line: int
    is_block: bool

    @property
    def qualifier(self) -> str | None:
        found = self.body.get("qualifier")
        return None if found is None else str(found)

    @property
    def threshold(self) -> Block:
        """The threshold as written; empty when the check relies on Soda's default, exactly 0 rows."""
        found = self.body.get("threshold")
        return found if isinstance(found, Block) else Block(self.line)

    @property
    def identity(self) -> tuple[str | None, str, str | None]:
        """What Soda tells two checks of one contract apart by: column, type, qualifier."""
        return (self.column, self.type, self.qualifier)

    @property
    def name(self) -> str:
        """Unique inside a sound contract: ``amount: invalid``, ``p_value: invalid (max)``, ``z_score: not_finite``.

        The qualifier of a check written in SQL says all there is to say.
        """
        what = self.type
        if self.qualifier:
            what = self.qualifier if self.type in SQL_CHECKS else f"{self.type} ({self.qualifier})"
        return f"{self.column}: {what}" if self.column else what


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract file, read but not judged.

    Args:
        file: Where it lies.
        root: Everything it says; may hold anything YAML allows.
        columns: Its columns, those that are mappings.
        checks: Its checks, those of the whole table first.
    """

    file: Path
    root: Block
    columns: tuple[Block, ...]
    checks: tuple[DeclaredCheck, ...]

    def of(self, column: str | None, kind: str) -> tuple[DeclaredCheck, ...]:
        """Checks of one type on one column, or on the whole table."""
        return tuple(c for c in self.checks if c.column == column and c.type == kind)


def _contract(file: Path, root: Block) -> Contract:
    columns = tuple(c for c in _items(root.get("columns")) if isinstance(c, Block))
    checks = (
        *declared_checks(root.get("checks"), None),
        *(check for column in columns for check in declared_checks(column.get("checks"), str(column.get("name")))),
    )
    return Contract(file, root, columns, checks)


def declared_checks(written: object, column: str | None) -> Iterator[DeclaredCheck]:
    """The checks of a ``checks`` list; what is no check is passed over, the linter names it."""
    for item in _items(written):
        if isinstance(item, Block):
            for kind, body in item.items():
                filled = body if isinstance(body, Block) else Block(item.line_of(kind))
                yield DeclaredCheck(kind, column, filled, item.line_of(kind), body is None or body is filled)


def read_contract(file: Path) -> tuple[Contract, list[ContractProblem]]:
    """A contract and what is wrong with it as YAML: unreadable, not a mapping, duplicate keys, aliases."""
    problems: list[ContractProblem] = []
    empty = _contract(file, Block(1))
    try:
        text = file.read_text(encoding="utf-8")
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                return empty, [ContractProblem(file, _line(event), "aliases are refused: write it out")]
        node = yaml.compose(text, Loader=_Loader)
    except OSError as error:
        return empty, [ContractProblem(file, 1, f"cannot be read: {error.strerror}")]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        return empty, [ContractProblem(file, line, f"not valid YAML: {getattr(error, 'problem', None) or error}")]
    root = _located(node, file, problems) if node is not None else None
    if not isinstance(root, Block):
        return empty, [*problems, ContractProblem(file, 1, "expected keys and values at the top level")]
    return _contract(file, root), problems


def _located(node: yaml.Node, file: Path, problems: list[ContractProblem]) -> Any:
    if isinstance(node, yaml.MappingNode):
        block = Block(_line(node))
        for key_node, value_node in node.value:
            key, line = str(key_node.value), _line(key_node)
            if key in block:
                problems.append(ContractProblem(file, line, f"{key!r} stands here twice"))
            block[key] = _located(value_node, file, problems)
            block.lines[key] = line
        return block
    if isinstance(node, yaml.SequenceNode):
        items = Items()
        for item in node.value:
            items.append(_located(item, file, problems))
            items.lines.append(_line(item))
        return items
    try:
        return _SCALARS.construct_object(node)
    except (yaml.YAMLError, ValueError):
        problems.append(ContractProblem(file, _line(node), f"{node.value!r} is no value of its type"))
        return None


def _line(node: yaml.Node | yaml.Event) -> int:
    mark = node.start_mark
    return mark.line + 1 if mark else 1


def _items(written: object) -> Items:
    return written if isinstance(written, Items) else Items()
