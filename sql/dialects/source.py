"""A SELECT in DuckDB's dialect as a tree: names qualified, types known, and both proved by DuckDB itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError, TokenError
from sqlglot.optimizer.qualify import qualify

from sql.dialects.annotate import Annotator
from sql.dialects.coercion import database
from sql.dialects.refusal import NotCarriedError

DIALECT = "duckdb"
# Each SELECT has a database of its own in the one DuckDB, so that threads do not meet.
_NUMBERS = count()


def read(select: str, schema: Mapping[str, Mapping[str, str]]) -> exp.Query:
    """Parse, qualify and annotate a SELECT.

    Args:
        select: One SELECT in DuckDB's dialect.
        schema: Full table name to column to DuckDB type text.

    Raises:
        NotCarriedError: It does not parse or bind, or holds what no type rule knows.
    """
    tree = _parse(select)
    schema = _mentioned(tree, schema)
    with _empty_tables(schema) as connection:
        described = _describe(connection, select, tree)
        _refuse_ambiguous_aliases(tree, {name.lower() for columns in schema.values() for name in columns})
        try:
            query = qualify(
                tree,
                schema=_nested(schema),
                dialect=DIALECT,
                quote_identifiers=False,
                validate_qualify_columns=True,
            )
        except OptimizeError as error:
            raise NotCarriedError(
                tree, f"names SQLGlot cannot resolve: {str(error).splitlines()[0]}", "table.column"
            ) from None
        # What DuckDB yields for the qualified text must be what it yields for the original.
        if not _same(_describe(connection, query.sql(DIALECT), query), described):
            raise NotCarriedError(query, "names that qualify to something else", "table.column for every column")
    columns = Annotator(schema).query(query, {})
    for (name, told), kind in zip(described, columns.values(), strict=True):
        if told != str(kind) and told != '"NULL"':
            raise NotCarriedError(
                query, f"column {name}, {told} to DuckDB but {kind} to us", f"cast it to {told.lower()}"
            )
    return query


def _mentioned(tree: exp.Query, schema: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    """The tables a SELECT may read: making empty ones of all the others would take most of the time."""
    names = {".".join(part.name.lower() for part in table.parts) for table in tree.find_all(exp.Table)}
    return {
        full: columns
        for full, columns in schema.items()
        if full.lower() in names or full.lower().rpartition(".")[2] in names
    }


def _parse(select: str) -> exp.Query:
    try:
        statements = [s for s in sqlglot.parse(select, read=DIALECT) if s is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        place = exp.Identifier(this="")
        place.meta["line"] = first.get("line") or 1
        raise NotCarriedError(place, f"SQL that does not parse: {first.get('description')}", "one SELECT") from None
    except TokenError as error:
        raise NotCarriedError(
            exp.Null(), f"SQL that does not parse: {str(error).splitlines()[0]}", "one SELECT"
        ) from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise NotCarriedError(exp.Null(), "something else than one SELECT", "one SELECT")
    tree = statements[0].transform(_add_intervals)
    assert isinstance(tree, exp.Query)
    return tree


def _add_intervals(node: exp.Expr) -> exp.Expr:
    """Writes date_add(d, INTERVAL ...) as d + INTERVAL ..., which is the same to DuckDB."""
    if isinstance(node, exp.DateAdd) and isinstance(node.expression, exp.Interval):
        return exp.Paren(this=exp.Add(this=node.this, expression=node.expression))
    return node


@contextmanager
def _empty_tables(schema: Mapping[str, Mapping[str, str]]) -> Iterator[duckdb.DuckDBPyConnection]:
    name = f"tables_{next(_NUMBERS)}"
    with database().cursor() as connection:
        connection.execute(f"ATTACH ':memory:' AS {name}")
        connection.execute(f"USE {name}")
        try:
            _create_tables(connection, schema)
            yield connection
        finally:
            connection.execute("USE memory")
            connection.execute(f"DETACH {name}")


def _create_tables(connection: duckdb.DuckDBPyConnection, schema: Mapping[str, Mapping[str, str]]) -> None:
    for table, columns in schema.items():
        name = exp.to_table(table, dialect=DIALECT)
        if name.db:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {exp.to_identifier(name.db).sql(DIALECT)}")
        body = ", ".join(f"{exp.to_identifier(c, quoted=True).sql(DIALECT)} {t}" for c, t in columns.items())
        connection.execute(f"CREATE TABLE {name.sql(DIALECT, identify=True)} ({body})")


def _describe(connection: duckdb.DuckDBPyConnection, select: str, tree: exp.Expr) -> list[tuple[str, str]]:
    try:
        rows = connection.execute(f"DESCRIBE {select}").fetchall()
    except duckdb.Error as error:
        raise NotCarriedError(
            tree, f"what DuckDB refuses: {str(error).splitlines()[0]}", "SQL that DuckDB runs"
        ) from None
    return [(str(name).lower(), str(kind)) for name, kind, *_ in rows]


def _same(qualified: list[tuple[str, str]], original: list[tuple[str, str]]) -> bool:
    # SQLGlot numbers the columns nobody named; DuckDB names them by their text.
    return len(qualified) == len(original) and all(
        told == kind and (ours == theirs or ours.startswith("_col_"))
        for (ours, told), (theirs, kind) in zip(qualified, original, strict=True)
    )


def _nested(schema: Mapping[str, Mapping[str, str]]) -> dict[str, object]:
    tables = {tuple(full.split(".")): dict(columns) for full, columns in schema.items()}
    depth = max((len(parts) for parts in tables), default=1)
    nested: dict[str, object] = {}
    for parts, columns in tables.items():
        place = nested
        for part in (("",) * (depth - len(parts)) + parts)[:-1]:
            place = place.setdefault(part, {})  # type: ignore[assignment]
        place[parts[-1]] = columns
    return nested


def _refuse_ambiguous_aliases(tree: exp.Expr, columns: set[str]) -> None:
    """Names that may be a column as well as the alias of something else: engines differ in which they take."""
    given = [
        projection.alias_or_name.lower() for select in tree.find_all(exp.Select) for projection in select.expressions
    ]
    named = [column.name.lower() for alias in tree.find_all(exp.TableAlias) for column in alias.columns]
    for select in tree.find_all(exp.Select):
        renamed = {p.alias.lower() for p in select.expressions if isinstance(p, exp.Alias) and _renames(p)}
        made = {name for name in renamed if name in columns or given.count(name) > 1 or name in named}
        for clause in ("where", "group", "having", "qualify"):
            for column in _own_columns(select.args.get(clause)):
                if not column.table and column.name.lower() in made:
                    what = f"{clause.upper()} by the alias {column.name}"
                    raise NotCarriedError(column, what, "repeat the expression, or name the table")


def _renames(alias: exp.Alias) -> bool:
    return not (isinstance(alias.this, exp.Column) and alias.this.name == alias.alias)


def _own_columns(clause: exp.Expr | None) -> Iterator[exp.Column]:
    if clause is None:
        return
    for node in clause.walk(prune=lambda n: isinstance(n, exp.Query)):
        if isinstance(node, exp.Column):
            yield node
