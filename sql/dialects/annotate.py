"""Types on every expression of a qualified SELECT, scope by scope, the way DuckDB binds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from sql.dialects.coercion import coerce, typed_cast
from sql.dialects.refusal import NotCarriedError, describe
from sql.dialects.rules import RULES
from sql.dialects.types import BIGINT, NULL, SqlType, common, from_node, known, of, put

Columns = dict[str, SqlType]
_CLAUSES = ("where", "group", "having", "qualify", "order", "limit", "offset")
# Nodes that hold expressions and are none.
_HOLDERS = (
    exp.Where, exp.Having, exp.Qualify, exp.Order, exp.Ordered, exp.Limit, exp.Offset, exp.WindowSpec,
    exp.Group, exp.GroupingSets, exp.Rollup, exp.Cube, exp.Tuple,
)  # fmt: skip
# What may stand in a SELECT at all; the rest (WINDOW, DISTINCT ON, SAMPLE, hints, ...) is refused by name.
_SELECT_PARTS = {"expressions", "from_", "joins", "with_", "distinct", "kind", *_CLAUSES}
_JOINS = ("", "INNER", "OUTER", "CROSS")
_SET_PARTS = {"this", "expression", "with_", "distinct", "order", "limit", "offset", "by_name", "side", "kind", "on"}


@dataclass(slots=True)
class _Scope:
    """What names mean inside one query."""

    ctes: dict[str, Columns]
    outer: _Scope | None = None
    sources: dict[str, Columns] = field(default_factory=dict)
    outputs: Columns = field(default_factory=dict)

    def column(self, node: exp.Column) -> SqlType:
        name = node.name
        if not node.table:
            if name in self.outputs:
                return self.outputs[name]
            raise NotCarriedError(node, f"column {name}, whose table cannot be told", "table.column")
        scope: _Scope | None = self
        while scope is not None:
            if node.table in scope.sources:
                kind = scope.sources[node.table].get(name)
                if kind is None:
                    raise NotCarriedError(
                        node, f"column {node.table}.{name}, which is not known", "a column of the schema"
                    )
                return kind
            scope = scope.outer
        raise NotCarriedError(node, f"table {node.table}, which is not known", "a table of the FROM clause")


class Annotator:
    """Writes a type on every expression, and the casts DuckDB makes by itself into the tree.

    Args:
        schema: Full table name to column to DuckDB type text.
    """

    def __init__(self, schema: Mapping[str, Mapping[str, str]]) -> None:
        self._schema = {
            table.lower(): {
                name.lower(): from_node(exp.DataType.build(kind, dialect="duckdb")) for name, kind in columns.items()
            }
            for table, columns in schema.items()
        }

    def query(self, query: exp.Expr, ctes: Mapping[str, Columns], outer: _Scope | None = None) -> Columns:
        """Annotate `query` in place.

        Returns:
            Its columns and their types, in order.

        Raises:
            NotCarriedError: A construct no rule knows.
        """
        if isinstance(query, exp.Subquery):
            columns = self.query(query.this, ctes, outer)
            if set(_given(query)) - {"this", "alias"}:
                raise NotCarriedError(query, "clauses behind a parenthesis", "put them inside")
            put(query, next(iter(columns.values())))
            return columns
        scope = _Scope(dict(ctes), outer)
        self._ctes(query, scope)
        if isinstance(query, exp.SetOperation):
            return self._set_operation(query, scope)
        if isinstance(query, exp.Select):
            return self._select(query, scope)
        raise NotCarriedError(query, query.key.upper(), "a SELECT")

    def _ctes(self, query: exp.Expr, scope: _Scope) -> None:
        with_ = query.args.get("with_")
        if with_ is None:
            return
        if with_.args.get("recursive"):
            raise NotCarriedError(with_, "WITH RECURSIVE", "a table of numbers, joined")
        for cte in with_.expressions:
            if set(_given(cte)) - {"this", "alias"}:
                raise NotCarriedError(
                    cte, "MATERIALIZED and other options of a common table expression", "leave them out"
                )
            scope.ctes[cte.alias] = self.query(cte.this, scope.ctes, scope.outer)

    def _set_operation(self, query: exp.SetOperation, scope: _Scope) -> Columns:
        unknown = set(_given(query)) - _SET_PARTS
        if unknown or any(query.args.get(key) for key in ("by_name", "side", "kind", "on")):
            raise NotCarriedError(query, f"{query.key.upper()} BY NAME and the like", "list the columns in one order")
        if isinstance(query, exp.Except | exp.Intersect) and not query.args.get("distinct"):
            raise NotCarriedError(query, f"{query.key.upper()} ALL", "a GROUP BY with count(*)")
        left = self.query(query.this, scope.ctes, scope.outer)
        right = self.query(query.expression, scope.ctes, scope.outer)
        columns: Columns = {}
        for (name, a), b in zip(left.items(), right.values(), strict=True):
            shared = common(a, b)
            if shared is None:
                raise NotCarriedError(query, f"{query.key.upper()} of {a} and {b} in {name}", "cast both to one type")
            columns[name] = shared
        for side in (query.this, query.expression):
            _cast_outputs(side, list(columns.values()))
        scope.outputs = columns
        for clause in ("order", "limit", "offset"):
            self._expressions(query.args.get(clause), scope)
        return columns

    def _select(self, query: exp.Select, scope: _Scope) -> Columns:
        for part in set(_given(query)) - _SELECT_PARTS:
            raise NotCarriedError(query, part.rstrip("_").upper(), "what docs/translation.md lists")
        if isinstance(query.args.get("distinct"), exp.Distinct) and query.args["distinct"].args.get("on"):
            raise NotCarriedError(query, "DISTINCT ON", "row_number() over (partition by ... order by ...) = 1")
        if query.args.get("group") and query.args["group"].args.get("all") is not None:
            raise NotCarriedError(query, "GROUP BY ALL", "the columns")
        if query.args.get("kind"):
            raise NotCarriedError(query, f"SELECT AS {query.args['kind']}", "plain columns")
        from_ = query.args.get("from_")
        if from_ is not None:
            self._source(from_.this, scope)
        for join in query.args.get("joins") or ():
            if set(_given(join)) - {"this", "on", "side", "kind"} or join.kind not in _JOINS:
                raise NotCarriedError(join, f"{join.method or join.kind} JOIN".strip(), "join ... on, exists or in")
            self._source(join.this, scope)
        for join in query.args.get("joins") or ():
            self._expressions(join.args.get("on"), scope)
        columns: Columns = {}
        for projection in query.expressions:
            self._expressions(projection, scope)
            name = projection.alias_or_name
            if name in columns:
                raise NotCarriedError(projection, f"two columns named {name}", "name each once")
            columns[name] = of(projection)
        scope.outputs = columns
        for clause in _CLAUSES:
            self._expressions(query.args.get(clause), scope)
        return columns

    def _source(self, source: exp.Expr, scope: _Scope) -> None:
        name = source.alias_or_name
        if isinstance(source, exp.Table):
            if set(_given(source)) - {"this", "db", "alias"} or not isinstance(source.this, exp.Identifier):
                raise NotCarriedError(source, f"FROM {source.sql('duckdb')}", "a table")
            full = ".".join(part.name for part in source.parts)
            columns = scope.ctes.get(full) or self._schema.get(full.lower())
            if columns is None:
                raise NotCarriedError(source, f"table {full}, which is not known", "a table of the schema")
        elif isinstance(source, exp.Subquery):
            columns = self.query(source, scope.ctes, scope.outer)
        elif isinstance(source, exp.Values):
            columns = self._values(source, scope)
        else:
            raise NotCarriedError(source, f"FROM {source.key.upper()}", "a table or a subquery")
        scope.sources[name] = columns

    def _values(self, source: exp.Values, scope: _Scope) -> Columns:
        names = [column.name for column in (source.args["alias"].columns if source.args.get("alias") else ())]
        rows = [row.expressions if isinstance(row, exp.Tuple) else [row] for row in source.expressions]
        if not names or any(len(row) != len(names) for row in rows):
            raise NotCarriedError(source, "VALUES without a name for every column", "(values (1, 2)) as t(a, b)")
        for row in rows:
            for value in row:
                self._expressions(value, scope)
        columns: Columns = {}
        for place, name in enumerate(names):
            kind: SqlType | None = NULL
            for row in rows:
                kind = common(kind, of(row[place])) if kind is not None else None
            if kind is None:
                raise NotCarriedError(source, f"VALUES of several types in {name}", "cast them to one type")
            columns[name] = kind.bare
            for row in rows:
                coerce(row[place], kind.bare)
        return columns

    def _expressions(self, node: exp.Expr | None, scope: _Scope) -> None:
        """Annotate an expression, or what a clause holds, from the leaves up."""
        if node is None:
            return
        if isinstance(node, exp.Subquery | exp.Select | exp.SetOperation):
            columns = self.query(node, scope.ctes, scope)
            put(node, next(iter(columns.values())))
            return
        if isinstance(node, exp.Column):
            put(node, scope.column(node))
            return
        rule = RULES.get(type(node))
        if rule is None and not isinstance(node, _HOLDERS):
            raise NotCarriedError(node, describe(node), "what docs/translation.md lists")
        for child in list(node.iter_expressions()):
            if not isinstance(child, exp.Identifier | exp.DataType | exp.Var | exp.Star | exp.TableAlias):
                self._expressions(child, scope)
        if rule is not None:
            put(node, rule(node))


def _given(node: exp.Expr) -> Iterator[str]:
    return (key for key, value in node.args.items() if value not in (None, False, []))


def _cast_outputs(query: exp.Expr, kinds: list[SqlType]) -> None:
    query = query.unnest() if isinstance(query, exp.Subquery) else query
    if isinstance(query, exp.SetOperation):
        _cast_outputs(query.this, kinds)
        _cast_outputs(query.expression, kinds)
        return
    for projection, kind in zip(query.expressions, kinds, strict=True):
        if of(projection).bare != kind and of(projection).name != "NULL":
            inner = projection.unalias()
            cast = typed_cast(inner.copy(), kind)
            projection.replace(put(exp.alias_(cast, projection.alias_or_name, copy=False), kind))


__all__ = ["BIGINT", "Annotator", "Columns", "known"]
