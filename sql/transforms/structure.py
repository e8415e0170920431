"""The frame of a SELECT: names, row constructors, operands of set operations, and subqueries in place of a value."""

from __future__ import annotations

import re

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import of, put
from sql.table_names import table_name

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# Words that are reserved in SQLite, Snowflake or Spark, and may be a column's name in DuckDB.
_RESERVED = frozenset({
    "abort", "account", "action", "add", "after", "all", "alter", "always", "analyze", "and", "anti", "any",
    "as", "asc", "attach", "autoincrement", "before", "begin", "between", "by", "cascade", "case", "cast",
    "check", "collate", "column", "commit", "conflict", "connect", "connection", "constraint", "create",
    "cross", "current", "current_date", "current_time", "current_timestamp", "current_user", "database",
    "default", "deferrable", "deferred", "delete", "desc", "detach", "distinct", "do", "drop", "each", "else",
    "end", "escape", "except", "exclude", "exclusive", "exists", "explain", "fail", "false", "filter", "first",
    "following", "for", "foreign", "from", "full", "generated", "glob", "grant", "group", "groups", "gscluster",
    "having", "if", "ignore", "ilike", "immediate", "in", "increment", "index", "indexed", "initially", "inner",
    "insert", "instead", "intersect", "into", "is", "isnull", "issue", "join", "key", "last", "lateral", "left",
    "like", "limit", "localtime", "localtimestamp", "match", "materialized", "minus", "natural", "no", "not",
    "nothing", "notnull", "null", "nulls", "of", "offset", "on", "or", "order", "organization", "others",
    "outer", "over", "partition", "plan", "pragma", "preceding", "primary", "qualify", "query", "raise",
    "range", "recursive", "references", "regexp", "reindex", "release", "rename", "replace", "restrict",
    "returning", "revoke", "right", "rlike", "rollback", "row", "rows", "sample", "savepoint", "schema",
    "select", "semi", "set", "some", "start", "table", "tablesample", "temp", "temporary", "then", "ties", "to",
    "transaction", "trigger", "true", "try_cast", "unbounded", "union", "unique", "update", "using", "vacuum",
    "values", "view", "virtual", "when", "whenever", "where", "window", "with", "without",
})  # fmt: skip


def quote_odd_names(node: exp.Expr) -> exp.Expr:
    """Quotes the names that are reserved words or no plain ones.

    For SQLite and Spark, which take a name for the same in any case.
    """
    if isinstance(node, exp.Identifier):
        node.set("quoted", _is_odd(node.name))
    return node


def quote_odd_names_in_capitals(node: exp.Expr) -> exp.Expr:
    """Quotes the names that are reserved words or no plain ones, in capitals.

    For Snowflake, where a plain name is the same as its capitals in quotes.
    """
    if isinstance(node, exp.Identifier) and _is_odd(node.name):
        return exp.Identifier(this=node.name.upper(), quoted=True)
    if isinstance(node, exp.Identifier):
        node.set("quoted", False)
    return node


def _is_odd(name: str) -> bool:
    return name in _RESERVED or not _PLAIN.fullmatch(name)


def join_layer_and_name(node: exp.Expr) -> exp.Expr:
    """Writes table ``silver.users`` as ``silver_users``.

    For SQLite, where one file is one schema.
    """
    if not isinstance(node, exp.Table) or not node.db:
        return node
    name = table_name(f"{node.db}.{node.name}", "sqlite")
    with_ = node.root().find(exp.With)
    if with_ is not None and any(cte.alias == name for cte in node.root().find_all(exp.CTE)):
        raise NotCarriedError(node, f"a common table expression named like the table {name}", "another name")
    node.set("this", exp.to_identifier(name))
    node.set("db", None)
    return node


def select_rows_of_values(node: exp.Expr) -> exp.Expr:
    """Writes VALUES as SELECTs with names, united.

    For SQLite, whose VALUES name their columns themselves.
    """
    if not isinstance(node, exp.Values):
        return node
    alias = node.args["alias"]
    names = [column.name for column in alias.columns]
    united: exp.Query | None = None
    for row in node.expressions:
        values = row.expressions if isinstance(row, exp.Tuple) else [row]
        pairs = zip(values, names, strict=True)
        one = exp.Select(expressions=[put(exp.alias_(value.copy(), name), of(value)) for value, name in pairs])
        united = one if united is None else exp.Union(this=united, expression=one, distinct=False)
    return exp.Subquery(this=united, alias=exp.TableAlias(this=alias.this.copy()))


def unwrap_operands(node: exp.Expr) -> exp.Expr:
    """Selects from the operands of a set operation that stand in parentheses.

    For SQLite, which allows none there.
    """
    if not isinstance(node, exp.Subquery) or not isinstance(node.parent, exp.SetOperation):
        return node
    alias = "_operand"
    names = [projection.alias_or_name for projection in node.selects]
    outer = exp.Select(expressions=[exp.alias_(exp.column(name, table=alias), name) for name in names])
    subquery = exp.Subquery(this=node.this, alias=exp.TableAlias(this=exp.to_identifier(alias)))
    outer.set("from_", exp.From(this=subquery))
    return outer


def refuse_mixed_intersect(node: exp.Expr) -> exp.Expr:
    """Refuses INTERSECT beside another set operation without parentheses.

    For all targets: it binds tighter in DuckDB, Spark and Snowflake, and does not in SQLite.
    """
    if isinstance(node, exp.SetOperation):
        for side in (node.this, node.expression):
            both = isinstance(side, exp.SetOperation) and type(side) is not type(node)
            if both and exp.Intersect in (type(side), type(node)):
                raise NotCarriedError(node, "INTERSECT beside another set operation", "parentheses around one of them")
    return node


def refuse_subqueries_of_many_rows(node: exp.Expr) -> exp.Expr:
    """Refuses a subquery in place of a value unless it yields one row at most.

    For SQLite, which takes the first of several rows where DuckDB fails.
    """
    if not isinstance(node, exp.Subquery) or isinstance(
        node.parent, exp.From | exp.Join | exp.In | exp.SetOperation | exp.Subquery | exp.CTE
    ):
        return node
    query = node.unnest()
    limit = query.args.get("limit")
    if limit is not None and limit.expression.name == "1":
        return node
    if isinstance(query, exp.Select) and not query.args.get("group") and _aggregates(query):
        return node
    raise NotCarriedError(node, "a subquery in place of a value that could have several rows", "max(...), or limit 1")


def _aggregates(query: exp.Select) -> bool:
    return any(
        (isinstance(part, exp.AggFunc) and not isinstance(part.parent, exp.Window | exp.Filter))
        or (isinstance(part, exp.Filter) and not isinstance(part.parent, exp.Window))
        for projection in query.expressions
        for part in projection.walk(prune=lambda n: isinstance(n, exp.Query))
    )
