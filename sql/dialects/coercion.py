"""DuckDB's implicit casts, written out, so that a target has none of its own to make."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import cache

import duckdb
from sqlglot import exp

from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import NULL, SqlType, common, of, of_number, put

_LAST_DAY_ALL_TARGETS_KNOW = "9999-12-31"
_FIRST_DAY_ALL_TARGETS_KNOW = "0001-01-01"


def coerce(node: exp.Expr, to: SqlType) -> exp.Expr:
    """Make `node` of type `to` in its place in the tree, by a cast where it is another.

    Raises:
        NotCarriedError: A text that is no constant of that type, or a type DuckDB does not cast by itself.
    """
    kind = of(node)
    if kind.bare == to or kind.name == "NULL":
        return node
    if isinstance(node, exp.Paren):
        coerce(node.this, to)
        return put(node, to)
    cast = typed_cast(node.copy(), to)
    node.replace(cast)
    return cast


def typed_cast(node: exp.Expr, to: SqlType) -> exp.Expr:
    """`node` cast to `to`; a text literal becomes the canonical text of its value."""
    if isinstance(node, exp.Literal) and node.is_string and to.name != "VARCHAR":
        node = _constant(node, to)
        if not to.is_moment and to.name != "BOOLEAN":
            return node
    return put(exp.Cast(this=node, to=to.node()), to)


def unify(nodes: Iterable[exp.Expr]) -> SqlType:
    """Bring all `nodes` to the one type DuckDB would give them.

    Raises:
        NotCarriedError: They have none we know of.
    """
    nodes = list(nodes)
    kind = NULL
    for node in nodes:
        shared = common(kind, of(node))
        if shared is None:
            raise NotCarriedError(node, f"{kind} beside {of(node)} in {_short(node)}", "cast both to one type")
        # Literals among themselves stay literals: their type is still open.
        kind = of(node) if kind.name == "NULL" else shared
    for node in nodes:
        coerce(node, kind.bare)
    return kind.bare


def require(node: exp.Expr, *names: str) -> SqlType:
    """The type of `node`, which must be one of `names` (or NULL).

    Raises:
        NotCarriedError: It is another.
    """
    kind = of(node)
    if kind.name not in names and kind.name != "NULL":
        raise NotCarriedError(node, f"{kind} in {_short(node)}", f"cast it to {names[0].lower()}")
    return kind


def _short(node: exp.Expr) -> str:
    text = (node.parent or node).sql("duckdb")
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - a message's width, in characters


@cache
def database() -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory that is asked what SQL means; one for all, as opening it takes longer than most answers."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "threads": 1})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def _constant(node: exp.Literal, to: SqlType) -> exp.Expr:
    """What DuckDB reads from a text literal, as the literal all targets read alike."""
    try:
        with database().cursor() as connection:
            text = connection.execute(f"SELECT CAST(CAST(? AS {to}) AS VARCHAR)", [node.this]).fetchall()[0][0]
    except duckdb.Error as error:
        raise NotCarriedError(node, f"'{node.this}' as {to}: {str(error).splitlines()[0]}", f"a valid {to}") from None
    if to.is_number:
        return _number(node, text, to)
    if to.is_moment:
        text = canonical_moment(node, text, to)
    return put(exp.Literal.string(text), SqlType("VARCHAR", literal=text))


def _number(node: exp.Literal, text: str, to: SqlType) -> exp.Expr:
    value = Decimal(text)
    if not value.is_finite():
        raise NotCarriedError(node, f"{text} as a number", "a finite number")
    written = format(abs(value), "f")
    size = put(exp.Literal.number(written), of_number(written))
    signed = put(exp.Neg(this=size), of(size).bare) if value < 0 else size
    return put(exp.Cast(this=signed, to=to.node()), to)


def canonical_moment(node: exp.Expr, text: str, to: SqlType) -> str:
    """DuckDB's text of a date or timestamp with all six digits of its fraction, and its zone where it has one.

    Raises:
        NotCarriedError: Years before 1 or after 9999, and infinity.
    """
    day, _, time = text.partition(" ")
    is_plain = len(day) == len("YYYY-MM-DD") and "BC" not in text
    if not is_plain or not _FIRST_DAY_ALL_TARGETS_KNOW <= day <= _LAST_DAY_ALL_TARGETS_KNOW:
        raise NotCarriedError(node, f"'{text}', outside the years 1 to 9999", "a day within them")
    if to.name == "DATE":
        return day
    clock, _, fraction = time.removesuffix("+00").partition(".")
    zone = "+00:00" if to.name == "TIMESTAMPTZ" else ""
    return f"{day} {clock}.{fraction:0<6}{zone}"
