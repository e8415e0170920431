"""What cannot be carried: told apart from defects, and led back to a line of the source."""

from __future__ import annotations

from sqlglot import exp


class NotCarriedError(Exception):
    """A construct that would not mean the same elsewhere.

    Args:
        node: The construct, for its line.
        what: The construct in words or SQL.
        mend: What to write instead.
    """

    def __init__(self, node: exp.Expr, what: str, mend: str) -> None:
        super().__init__(what)
        self.line = line_of(node)
        self.what = what
        self.mend = mend


def describe(node: exp.Expr) -> str:
    """A construct in the words of SQL."""
    if isinstance(node, exp.Anonymous):
        return f"{node.name}()"
    return name_of(type(node))


def name_of(kind: type[exp.Expr]) -> str:
    """A class of constructs in the words of SQL."""
    names = kind.sql_names() if issubclass(kind, exp.Func) else []
    return names[0] if names else kind.key.upper()


def line_of(node: exp.Expr) -> int:
    """Line of the first name in `node`; else of the name nearest before it in what it is part of, or after it."""
    if (inside := _lines(node)) and node.parent is not None:
        return min(inside)
    around: exp.Expr | None = node
    while around is not None:
        if lines := _lines(around):
            return _nearest(around, node) or min(lines)
        around = around.parent
    return 1


def _lines(node: exp.Expr) -> list[int]:
    return [int(line) for part in node.walk() if (line := part.meta.get("line"))]


def _nearest(around: exp.Expr, node: exp.Expr) -> int | None:
    """Line of the last name before `node` inside `around`."""
    line = None
    for part in around.walk(bfs=False):
        if part is node:
            break
        line = part.meta.get("line", line)
    return line
