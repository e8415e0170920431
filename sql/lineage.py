"""Column lineage, read from the SQL of the models: from a silver or gold column down to bronze columns.

What counts is where a value comes from: the columns in the expression that makes it, windows included. Columns that
only choose rows (WHERE, ON, GROUP BY) do not. A value without a column, such as ``count(*)`` or ``1``, comes from the
rows of its sources, written ``<table>.*``; a 0 or NULL where another SELECT of the UNION has a value only fills.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope, find_all_in_scope

from lake.errors import BadInputError, ModelError
from lake.settings import PROJECT_ROOT
from lake.table import Layer
from lake.tables import BRONZE, MARTS, SILVER
from lake.tables import table as declared
from sql.engines.duckdb import duckdb_type
from sql.model import Model
from sql.model_check import DIALECT

ROWS = "*"
"""Stands for a column where a value comes from rows, not from one of their columns."""
# Their right side chooses or adorns rows of the left one and brings none of its own.
_ADORNING_JOINS = {"LEFT", "SEMI", "ANTI"}


@dataclass(frozen=True, slots=True)
class LineageNode:
    """A column and what its value is made from.

    Args:
        column: Full name such as ``gold.revenue.mrr_end``; a step inside a model is
            ``gold.revenue:running.mrr_end``, its common table expression behind the colon.
        path: File of the model that makes it; None where lineage ends, in bronze.
        line: Line of `expression` in it.
        expression: What makes it, in DuckDB's dialect; those of a UNION stand one after the other.
        children: Columns the expression reads, in its order. Nodes are shared: walk them with that in mind.
    """

    column: str
    path: Path | None = None
    line: int | None = None
    expression: str | None = None
    children: tuple[LineageNode, ...] = ()

    @property
    def is_step(self) -> bool:
        """Whether it lies inside a model, not in a table."""
        return ":" in self.column

    @property
    def where(self) -> str | None:
        """File and line as people type them: relative to the project where it lies inside."""
        if self.path is None:
            return None
        inside = self.path.is_relative_to(PROJECT_ROOT)
        path = self.path.relative_to(PROJECT_ROOT) if inside else self.path
        return f"{path}:{self.line}" if self.line else str(path)


def lineage(models: Mapping[str, Model], column: str) -> LineageNode:
    """Where a column's values come from.

    Args:
        models: Models by table name, as load_models gives them.
        column: Full name such as ``gold.daily_kpis.net_revenue``; ``<table>.*`` asks for the table's rows.

    Raises:
        BadInputError: No such table or column; the message lists near names.
        ModelError: A construct whose columns cannot be followed, with file and line.
    """
    return ColumnLineage(models).of(column)


def origins(node: LineageNode) -> frozenset[str]:
    """Full names of the bronze columns, or ``bronze.<table>.*``, a node's lineage ends in."""
    return frozenset(n.column for n in nodes(node) if n.path is None)


def nodes(root: LineageNode) -> Iterator[LineageNode]:
    """Every node once, `root` first, each before those it is made from."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if node.column not in seen:
            seen.add(node.column)
            yield node
            waiting.extend(reversed(node.children))


def to_json(node: LineageNode) -> dict[str, Any]:
    """A lineage as JSON values: column, where, expression, children; what ends it has no children."""
    return {
        "column": node.column,
        "where": node.where,
        "expression": node.expression,
        "children": [to_json(child) for child in node.children],
    }


def to_mermaid(root: LineageNode) -> str:
    """A lineage as the text of a Mermaid flowchart of table columns, from bronze on the left to `root`."""
    columns = [n for n in nodes(root) if not n.is_step]
    names = {n.column: f"c{number}" for number, n in enumerate(columns)}
    lines = ["flowchart LR", *(f'  {names[n.column]}["{n.column}"]' for n in columns)]
    for node in columns:
        sources = dict.fromkeys(source.column for child in node.children for source in _nearest_columns(child))
        lines += [f"  {names[source]} --> {names[node.column]}" for source in sources]
    return "\n".join(lines) + "\n"


def _nearest_columns(node: LineageNode) -> Iterator[LineageNode]:
    waiting, seen = [node], set()
    while waiting:
        found = waiting.pop()
        if not found.is_step:
            yield found
        elif found.column not in seen:
            seen.add(found.column)
            waiting.extend(reversed(found.children))


class ColumnLineage:
    """Lineage of any number of columns; each model is parsed once, when a column leads to it.

    Args:
        models: Models by table name.
    """

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models
        self._scopes: dict[str, Scope] = {}
        self._nodes: dict[tuple[int, str] | str, LineageNode] = {}

    def of(self, column: str) -> LineageNode:
        """See lineage."""
        table_name, _, name = column.rpartition(".")
        if "." not in table_name:
            raise BadInputError(
                f"{column!r} is no column", mend="name it <layer>.<table>.<column>, such as gold.revenue.mrr_end"
            )
        table, model = declared(table_name), self._models.get(table_name)
        if model is None and table.layer is not Layer.BRONZE:
            raise BadInputError(f"no model makes {table_name}", mend="name a silver or gold table")
        columns = model.columns if model else table.column_names
        if name not in (*columns, ROWS):
            near = difflib.get_close_matches(name, columns, n=3, cutoff=0.4)
            raise BadInputError(
                f"{table_name} has no column {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""),
                mend=f"its columns: {', '.join(columns)}",
            )
        return self._of_table(table_name, name)

    def _of_table(self, table_name: str, column: str) -> LineageNode:
        full_name, model = f"{table_name}.{column}", self._models.get(table_name)
        if full_name not in self._nodes:
            if model is None:
                self._nodes[full_name] = LineageNode(full_name)
            else:
                self._nodes[full_name] = self._made(model, self._scope(model), column, full_name)
        return self._nodes[full_name]

    def _of_step(self, model: Model, scope: Scope, column: str) -> LineageNode:
        key = (id(scope), column)
        if key not in self._nodes:
            if isinstance(scope.expression, exp.UDTF) and not isinstance(scope.expression, exp.Values):
                raise _unfollowed(model, scope.expression, f"{scope.expression.key.upper()} in FROM")
            holder = scope.expression.parent
            name = holder.alias_or_name if isinstance(holder, exp.CTE | exp.Subquery) else ""
            self._nodes[key] = self._made(model, scope, column, f"{model.name}:{name or 'subquery'}.{column}")
        return self._nodes[key]

    def _made(self, model: Model, scope: Scope, column: str, full_name: str) -> LineageNode:
        """The node of one column of a query, which may be a UNION of several SELECTs."""
        texts: dict[str, int | None] = {}
        values: list[LineageNode] = []
        fillers: list[LineageNode] = []
        for part in _selects(scope):
            if column == ROWS:
                texts[f"rows of {', '.join(_row_sources(part))}"] = None
                values += self._rows(model, part)
            else:
                projection = _outputs(part)[_names(scope).index(column)].unalias()
                texts.setdefault(projection.sql(DIALECT), _line(projection))
                (fillers if _only_fills(projection) else values).extend(self._inputs(model, part, projection))
        # A constant is made from nothing and leads nowhere.
        children = {n.column: n for n in values or fillers if n.children or n.path is None}
        line = next(iter(texts.values()), None)
        return LineageNode(full_name, model.path, line, " UNION ".join(texts), tuple(children.values()))

    def _inputs(self, model: Model, part: Scope, projection: exp.Expr) -> Iterator[LineageNode]:
        columns = list(find_all_in_scope(projection, exp.Column))
        for column in columns:
            source = _source(part, column.table)
            if source is None:
                raise _unfollowed(model, column, f"column {column.sql(DIALECT)}, whose table cannot be told")
            yield self._input(model, source, column.name)
        queries = {id(query) for query in find_all_in_scope(projection, exp.Query)}
        inner = [scope for scope in part.subquery_scopes if id(scope.expression) in queries]
        for scope in inner:
            for name in _names(scope):
                yield self._of_step(model, scope, name)
        if not (columns or inner) or any(find_all_in_scope(projection, exp.Star)):
            yield from self._rows(model, part)

    def _rows(self, model: Model, part: Scope) -> Iterator[LineageNode]:
        for alias in _row_sources(part):
            yield self._input(model, part.sources[alias], ROWS)

    def _input(self, model: Model, source: exp.Table | Scope, column: str) -> LineageNode:
        if isinstance(source, Scope):
            return self._of_step(model, source, column)
        return self._of_table(".".join(part.name for part in source.parts), column)

    def _scope(self, model: Model) -> Scope:
        if model.name not in self._scopes:
            tree = sqlglot.parse_one(model.sql, dialect=DIALECT)
            try:
                tree = qualify(tree, schema=_schema(), dialect=DIALECT, quote_identifiers=False)
            except SqlglotError as error:
                raise ModelError(f"has no lineage: {str(error).splitlines()[0]}", where=str(model.path)) from None
            for node in tree.find_all(exp.With, exp.SetOperation):
                if node.args.get("recursive") or node.args.get("by_name"):
                    raise _unfollowed(model, node, "WITH RECURSIVE and UNION BY NAME")
            scope = build_scope(tree)
            assert scope is not None, "a model is one SELECT"
            self._scopes[model.name] = scope
        return self._scopes[model.name]


def _unfollowed(model: Model, node: exp.Expr, what: str) -> ModelError:
    return ModelError(f"lineage cannot follow {what}", where=f"{model.path}:{_line(node) or 1}")


def _selects(scope: Scope) -> Iterator[Scope]:
    """The SELECTs of a query: one, or those its UNIONs combine; VALUES are none."""
    if isinstance(scope.expression, exp.Select):
        yield scope
    else:
        for part in scope.set_operation_scopes or scope.subquery_scopes:
            yield from _selects(part)


def _outputs(scope: Scope) -> list[exp.Expr]:
    assert isinstance(scope.expression, exp.Query), "sources of rows are queries here"
    return scope.expression.selects


def _names(scope: Scope) -> list[str]:
    return [output.alias_or_name for output in _outputs(scope)]


def _only_fills(value: exp.Expr) -> bool:
    while isinstance(value, exp.Cast):
        value = value.this
    return isinstance(value, exp.Null) or (isinstance(value, exp.Literal) and value.to_py() == 0)


def _row_sources(part: Scope) -> list[str]:
    """Names of the sources a SELECT's rows come from."""
    from_ = part.expression.args.get("from_")
    joins = [j for j in part.expression.args.get("joins") or () if not {j.side, j.kind} & _ADORNING_JOINS]
    return [source.this.alias_or_name for source in (*([from_] if from_ else []), *joins)]


def _source(part: Scope, alias: str) -> exp.Table | Scope | None:
    """What a name means in a SELECT or, where a subquery names it, around it."""
    scope: Scope | None = part
    while scope is not None:
        if alias in scope.sources:
            source: exp.Table | Scope = scope.sources[alias]
            return source
        scope = scope.parent
    return None


def _line(node: exp.Expr) -> int | None:
    """First line SQLGlot has kept for a node or what lies in it."""
    return min((n.meta["line"] for n in node.walk() if "line" in n.meta), default=None)


def _schema() -> dict[str, object]:
    schema: dict[str, dict[str, object]] = {}
    for table in (*BRONZE, *SILVER, *MARTS):
        schema.setdefault(table.layer, {})[table.name] = {c.name: duckdb_type(c.type) for c in table.columns}
    return {**schema}
