"""One SELECT in DuckDB's dialect, carried to SQLite, Snowflake or Spark; refused rather than silently different."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from lake.errors import ModelError
from sql.dialects.refusal import NotCarriedError
from sql.dialects.source import read
from sql.dialects.target import Target
from sql.dialects.targets import BY_NAME

TARGETS: tuple[str, ...] = tuple(BY_NAME)


@dataclass(frozen=True, slots=True)
class Translated:
    """A SELECT in a target's dialect.

    Args:
        sql: The SELECT, pretty-printed, without a closing semicolon.
        helpers: Names of the registered functions and collations it calls, sorted; none but on SQLite.
    """

    sql: str
    helpers: tuple[str, ...]


def translate(select: str, target: str, schema: Mapping[str, Mapping[str, str]], *, where: str = "query") -> Translated:
    """Carry a SELECT from DuckDB's dialect to a target's.

    Args:
        select: One SELECT in DuckDB's dialect.
        target: One of `TARGETS`.
        schema: Full table name (``silver.users``) to column to DuckDB type text (``DECIMAL(18,2)``).
        where: What the SELECT is read from, for messages.

    Raises:
        ModelError: Something in it would not mean the same there, or could not be proved to: construct, line, way out.
    """
    try:
        wanted = BY_NAME[target]
    except KeyError:
        raise ModelError(f"no target {target}", where=where, mend=f"one of {', '.join(TARGETS)}") from None
    try:
        tree = wanted.carry(read(select, schema))
    except NotCarriedError as refused:
        raise ModelError(
            f"cannot be carried to {target}: {refused.what}",
            where=f"{where}:{refused.line}",
            mend=f"write {refused.mend}",
        ) from None
    sql = tree.sql(
        wanted.dialect, pretty=True, comments=False, normalize_functions=False, unsupported_level=ErrorLevel.RAISE
    )
    return Translated(sql, _helpers(tree, wanted))


def _helpers(tree: exp.Expr, target: Target) -> tuple[str, ...]:
    called = {node.name for node in tree.find_all(exp.Anonymous)} & target.helpers
    collations = {node.expression.name for node in tree.find_all(exp.Collate)}
    return tuple(sorted(called | collations))
