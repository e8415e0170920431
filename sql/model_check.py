"""What a model must be: one SELECT over declared tables whose columns and types are those declared.

Each check answers with one line that names the file and, where there is one, the line in it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.optimizer.scope import traverse_scope

from lake.errors import ModelError
from lake.settings import EngineSettings
from lake.table import TEXT, Layer, Table
from lake.tables import BRONZE, BY_NAME, GOLD, SILVER
from sql.engines.duckdb import DuckDBEngine, duckdb_type

DIALECT = "duckdb"
# What a silver model says about a row beside its declared columns; empty when nothing is wrong with it.
BROKEN_RULES = "_broken_rules"
# Layers are built one after the other; reading a later one would read the run before.
_MAY_READ = {Layer.SILVER: (Layer.BRONZE, Layer.SILVER), Layer.GOLD: (Layer.SILVER, Layer.GOLD)}


def expected_columns(table: Table) -> tuple[tuple[str, str], ...]:
    """Name and DuckDB type of every column the model of `table` must yield, in order."""
    declared = tuple((c.name, duckdb_type(c.type)) for c in table.columns)
    return (*declared, (BROKEN_RULES, duckdb_type(TEXT))) if table.layer is Layer.SILVER else declared


def parse_select(path: Path, text: str) -> tuple[str, exp.Query]:
    """The one SELECT of a file: its text up to a closing semicolon, and its syntax tree.

    Raises:
        ModelError: It does not parse, or is something else than one SELECT.
    """
    try:
        tokens = sqlglot.tokenize(text, read=DIALECT)
        parsed = sqlglot.parse(text, read=DIALECT)
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        description = first.get("description") or str(error).splitlines()[0]
        raise ModelError(f"does not parse: {description}", where=f"{path}:{first.get('line') or 1}") from None
    except TokenError as error:
        raise ModelError(f"does not parse: {str(error).splitlines()[0]}", where=str(path)) from None
    statements = [s for s in parsed if s is not None and not isinstance(s, exp.Semicolon)]
    if len(statements) != 1:
        raise ModelError(
            f"holds {len(statements)} statements, not one SELECT", where=str(path), mend="one SELECT per file"
        )
    statement = statements[0]
    if not isinstance(statement, exp.Query):
        raise ModelError(f"is {statement.key.upper()}, not a SELECT", where=str(path), mend="one SELECT per file")
    end = next((t.start for t in tokens if t.token_type is TokenType.SEMICOLON), len(text))
    return text[:end].rstrip(), statement


def sources_of(table: Table, path: Path, select: exp.Query) -> frozenset[str]:
    """Full names of the tables a SELECT reads; its own common table expressions are none.

    Raises:
        ModelError: It reads a table nobody declared, one of a layer that is built later, or a file; or a silver model
            does not read the bronze table it refines.
    """
    names = set()
    for scope in traverse_scope(select):
        for source in scope.sources.values():
            if isinstance(source, exp.Table):
                names.add(_declared_name(table, path, source))
    twin = f"{Layer.BRONZE}.{table.name}"
    if table.layer is Layer.SILVER and twin not in names:
        raise ModelError(f"does not read {twin}, whose rows {table.full_name} must account for", where=str(path))
    return frozenset(names)


def _declared_name(table: Table, path: Path, source: exp.Table) -> str:
    if not isinstance(source.this, exp.Identifier):
        raise ModelError(
            f"reads {source.sql(DIALECT)}, which is no declared table", where=str(path), mend="name it <layer>.<table>"
        )
    where = f"{path}:{source.this.meta.get('line', 1)}"
    name = ".".join(part.name for part in source.parts)
    readable = [t.full_name for t in BY_NAME.values() if t.layer in _MAY_READ[table.layer]]
    if name not in BY_NAME:
        near = difflib.get_close_matches(name, readable, n=2)
        mend = f"did you mean {' or '.join(near)}?" if near else "declare it in lake/tables"
        raise ModelError(f"reads {name}, which nobody declared", where=where, mend=mend)
    if name not in readable:
        layers = " and ".join(_MAY_READ[table.layer])
        raise ModelError(f"reads {name}, but a {table.layer} model reads {layers} only", where=where)
    return name


def check_output(models: Iterable[tuple[Table, Path, str]]) -> None:
    """Bind every SELECT against empty tables of the declared columns and compare what it would yield.

    Raises:
        ModelError: An unknown column or function, or other names, order or types than declared.
    """
    # Nothing is read or written, so nothing can spill.
    with DuckDBEngine(EngineSettings(threads=1), Path("unused")) as engine:
        for table in (*BRONZE, *SILVER, *GOLD):
            engine.register(table, ())
        for table, path, sql in models:
            try:
                yielded = engine.describe(sql)
            except ModelError as error:
                line = (error.where or "line 1").removeprefix("line ")
                raise ModelError(error.what, where=f"{path}:{line}") from None
            _compare(table, path, yielded)


def _compare(table: Table, path: Path, yielded: tuple[tuple[str, str], ...]) -> None:
    expected = expected_columns(table)
    names, declared = [name for name, _ in yielded], [name for name, _ in expected]
    if names != declared:
        missing = [f"{name} is missing" for name in declared if name not in names]
        extra = [f"{name} is not declared" for name in names if name not in declared]
        raise ModelError(
            f"yields other columns than {table.full_name} declares: "
            + (", ".join((*missing, *extra)) or "their order or number differs"),
            where=str(path),
            mend=f"declared: {', '.join(declared)}",
        )
    for (name, kind), (_, declared_kind) in zip(yielded, expected, strict=True):
        if kind != declared_kind:
            raise ModelError(
                f"yields {name} as {kind}, declared is {declared_kind}",
                where=str(path),
                mend=f"cast({name} as {declared_kind.lower()})",
            )
