"""What a target is: the transforms that lead to it, and the list of what may stand in the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError, describe
from sql.dialects.types import known, put

# One change on one kind of node: the node to put in its place, or the node itself.
Transform = Callable[[exp.Expr], exp.Expr]


@dataclass(frozen=True, slots=True)
class Target:
    """One target of the translation.

    Args:
        name: As in `sql.translate.TARGETS`.
        dialect: SQLGlot's name of the dialect that is written.
        transforms: Applied in order, each to every node, leaves first.
        nodes: Syntax that may stand in the result, each with the parts it may have.
        functions: Functions it may call by name.
        helpers: Those of `functions` that must be registered with the engine first.
    """

    name: str
    dialect: str
    transforms: tuple[Transform, ...]
    nodes: Mapping[type[exp.Expr], frozenset[str]]
    functions: frozenset[str]
    helpers: frozenset[str] = frozenset()

    def carry(self, query: exp.Expr) -> exp.Expr:
        """Rewrite an annotated tree for this target.

        Raises:
            NotCarriedError: It holds what the target cannot express, or what nobody has proved there.
        """
        for transform in self.transforms:
            query = apply(query, transform)
        for node in query.walk():
            self._check(node)
        return query

    def _check(self, node: exp.Expr) -> None:
        if isinstance(node, exp.Anonymous):
            if node.name not in self.functions:
                raise NotCarriedError(node, f"{node.name}()", "what docs/translation.md lists")
            return
        parts = self.nodes.get(type(node))
        if parts is None:
            raise NotCarriedError(node, describe(node), "what docs/translation.md lists")
        given = {key for key, value in node.args.items() if value not in (None, False, [], "")}
        for part in sorted(given - parts):
            raise NotCarriedError(node, f"{describe(node)} with {part.upper()}", "what docs/translation.md lists")


def apply(root: exp.Expr, transform: Transform) -> exp.Expr:
    """The tree with `transform` applied to every node, leaves first; a new node keeps the old one's type."""
    # Parents are listed before children; backwards, every child is done before its parent.
    for node in reversed(_nodes(root)):
        parent, key, index = node.parent, node.arg_key, node.index
        changed = transform(node)
        if changed is node:
            continue
        kind = known(node)
        if kind is not None and known(changed) is None:
            put(changed, kind)
        if parent is None:
            changed.parent = None
            root = changed
        else:
            parent.set(str(key), changed, index)
    return root


def _nodes(root: exp.Expr) -> list[exp.Expr]:
    """Every node, parents first; SQLGlot's own walk takes twice as long, and forty transforms feel it."""
    nodes, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        for value in node.args.values():
            if isinstance(value, exp.Expr):
                waiting.append(value)
            elif isinstance(value, list):
                waiting.extend(item for item in value if isinstance(item, exp.Expr))
    return nodes


def parts(*names: str) -> frozenset[str]:
    return frozenset(names)
