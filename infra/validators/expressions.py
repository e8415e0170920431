"""Expressions of ARM templates and of Data Factory pipelines, read into trees: both languages have one grammar.

    concat('a', parameters('name'), reference(resourceId('T', 'n')).id)      activity('find').output.id

Grammar: "Syntax and expressions in ARM templates" and "Expressions and functions in Azure Data Factory" on
Microsoft Learn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<sign>\?\.|[().,\[\]]))"
)
_CONSTANTS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, a whole number, true, false or null."""

    value: str | int | bool | None


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """A member of a value; `safe` when a missing one is null (``?.``)."""

    of: Node
    member: Node
    safe: bool = False


Node = Literal | Call | Access


class ExpressionError(ValueError):
    """The text is no expression; the message says where it stops being one."""


def parse(text: str) -> Node:
    """Read an expression, without the sign that starts one (``[…]`` or ``@``).

    Raises:
        ExpressionError: It is not well formed.
    """
    reader = _Reader(text)
    node = reader.node()
    if reader.at < len(text.rstrip()):
        raise ExpressionError(f"cannot be read from {text[reader.at :]!r} on: {text}")
    return node


def calls(node: Node) -> Iterator[Call]:
    """Every call within an expression, the outer ones first."""
    match node:
        case Call(_, arguments):
            yield node
            for argument in arguments:
                yield from calls(argument)
        case Access(of, member):
            yield from calls(of)
            yield from calls(member)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def node(self) -> Node:
        kind, token = self._next()
        if kind == "text":
            found: Node = Literal(token[1:-1].replace("''", "'"))
        elif kind == "number":
            found = Literal(int(token))
        elif kind == "name" and self._take("("):
            found = Call(token, self._arguments())
        elif kind == "name" and token in _CONSTANTS:
            found = Literal(_CONSTANTS[token])
        else:
            raise ExpressionError(f"{token!r} is neither a value nor a call: {self.text}")
        return self._members(found)

    def _arguments(self) -> tuple[Node, ...]:
        if self._take(")"):
            return ()
        found = [self.node()]
        while self._take(","):
            found.append(self.node())
        self._require(")")
        return tuple(found)

    def _members(self, node: Node) -> Node:
        while True:
            if self._take("["):
                node = Access(node, self.node())
                self._require("]")
            elif (sign := self._take("?.")) or self._take("."):
                kind, token = self._next()
                if kind != "name":
                    raise ExpressionError(f"a name has to follow the point before {token!r}: {self.text}")
                node = Access(node, Literal(token), sign)
            else:
                return node

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self.text, self.at)
        if found is None or found.lastgroup is None:
            raise ExpressionError(f"cannot be read from {self.text[self.at :]!r} on: {self.text}")
        self.at = found.end()
        return found.lastgroup, found[found.lastgroup]

    def _take(self, sign: str) -> bool:
        found = _TOKEN.match(self.text, self.at)
        if found is None or found["sign"] != sign:
            return False
        self.at = found.end()
        return True

    def _require(self, sign: str) -> None:
        if not self._take(sign):
            raise ExpressionError(f"{sign!r} is missing at {self.text[self.at :]!r}: {self.text}")
