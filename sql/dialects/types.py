"""DuckDB's types as its binder combines them, kept on the nodes of a syntax tree.

SQLGlot's own annotation knows neither DuckDB's decimal widths nor its literals, and what a target may be
given depends on both. `sql.dialects.source` checks the outcome against DuckDB itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError

MAX_DECIMAL_DIGITS = 38
# Products of decimals that fit 64 bits stay there, and overflow loudly.
_INT64_DIGITS = 18
_KEY = "duckdb_type"
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_BITS = dict(zip(INTEGERS, (8, 16, 32, 64, 128), strict=True))
# Digits an integer needs when it meets a decimal.
_DIGITS = dict(zip(INTEGERS, (3, 5, 10, 19, 38), strict=True))
MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMPTZ")
NUMBERS = ("DOUBLE", "DECIMAL", *INTEGERS)
# What a value may be anywhere; the rest (lists, structs, TIME, REAL, ...) is refused.
CARRIED = ("BOOLEAN", "VARCHAR", *NUMBERS, *MOMENTS)
_NAMES = {
    exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.TINYINT: "TINYINT",
    exp.DType.SMALLINT: "SMALLINT",
    exp.DType.INT: "INTEGER",
    exp.DType.BIGINT: "BIGINT",
    exp.DType.INT128: "HUGEINT",
    exp.DType.DOUBLE: "DOUBLE",
    exp.DType.VARCHAR: "VARCHAR",
    exp.DType.TEXT: "VARCHAR",
    exp.DType.DATE: "DATE",
    exp.DType.TIMESTAMP: "TIMESTAMP",
    exp.DType.TIMESTAMPNTZ: "TIMESTAMP",
    exp.DType.TIMESTAMPTZ: "TIMESTAMPTZ",
}
_OF_NAMES = {
    **{name: kind for kind, name in _NAMES.items()},
    "VARCHAR": exp.DType.TEXT,
    "TIMESTAMP": exp.DType.TIMESTAMPNTZ,
}
# What DuckDB assumes of a bare DECIMAL.
_BARE_DECIMAL = (18, 3)
E_ = TypeVar("E_", bound=exp.Expr)


@dataclass(frozen=True, slots=True)
class SqlType:
    """A type of DuckDB.

    Args:
        name: ``INTEGER``, ``DECIMAL``, ...; ``NULL`` of a bare NULL.
        precision: Digits of a decimal.
        scale: Digits behind its point.
        literal: The node is a literal, which takes the type of what it meets; of an integer, its value.
    """

    name: str
    precision: int = 0
    scale: int = 0
    literal: int | str | None = None

    @property
    def is_integer(self) -> bool:
        return self.name in INTEGERS

    @property
    def is_decimal(self) -> bool:
        return self.name == "DECIMAL"

    @property
    def is_number(self) -> bool:
        return self.is_integer or self.is_decimal or self.name == "DOUBLE"

    @property
    def is_moment(self) -> bool:
        return self.name in MOMENTS

    @property
    def is_timestamp(self) -> bool:
        return self.name in ("TIMESTAMP", "TIMESTAMPTZ")

    @property
    def bits(self) -> int:
        return _BITS[self.name]

    @property
    def bare(self) -> SqlType:
        """The same type, no longer a literal."""
        return self if self.literal is None else replace(self, literal=None)

    def __str__(self) -> str:
        if self.is_decimal:
            return f"DECIMAL({self.precision},{self.scale})"
        return "TIMESTAMP WITH TIME ZONE" if self.name == "TIMESTAMPTZ" else self.name

    def node(self) -> exp.DataType:
        """The type as SQLGlot writes it."""
        if self.is_decimal:
            return exp.DataType.build(f"DECIMAL({self.precision}, {self.scale})", dialect="duckdb")
        return exp.DataType(this=_OF_NAMES[self.name], nested=False)


NULL = SqlType("NULL")
BOOLEAN = SqlType("BOOLEAN")
INTEGER = SqlType("INTEGER")
BIGINT = SqlType("BIGINT")
HUGEINT = SqlType("HUGEINT")
DOUBLE = SqlType("DOUBLE")
VARCHAR = SqlType("VARCHAR")
DATE = SqlType("DATE")
TIMESTAMP = SqlType("TIMESTAMP")
TIMESTAMPTZ = SqlType("TIMESTAMPTZ")
INTERVAL = SqlType("INTERVAL")


def decimal(precision: int, scale: int) -> SqlType:
    return SqlType("DECIMAL", min(precision, MAX_DECIMAL_DIGITS), scale)


def from_node(node: exp.DataType) -> SqlType:
    """The type a DataType of DuckDB's dialect names; one nothing is known of keeps its text as its name."""
    if node.this == exp.DType.DECIMAL:
        sizes = [int(size.name) for size in node.expressions]
        precision, scale = (*sizes, *((0,) if len(sizes) == 1 else _BARE_DECIMAL))[:2]
        return decimal(precision, scale)
    name = _NAMES.get(cast(exp.DType, node.this))
    return SqlType(name if name and not node.expressions else node.sql("duckdb"))


def put(node: E_, kind: SqlType) -> E_:
    """Write `kind` on a node and return the node."""
    node.meta[_KEY] = kind
    return node


def known(node: exp.Expr | None) -> SqlType | None:
    """The type written on a node, if there is one."""
    return None if node is None else cast("SqlType | None", node.meta.get(_KEY))


def of(node: Any) -> SqlType:
    """The type written on a node.

    Raises:
        NotCarriedError: There is none, so nothing that depends on it can be decided.
    """
    kind = known(node)
    if kind is None:
        raise NotCarriedError(node, f"{node.sql('duckdb')}, whose type cannot be told", "cast it")
    return kind


def is_decimal(node: exp.Expr) -> bool:
    """Whether a node is known to be a decimal."""
    kind = known(node)
    return kind is not None and kind.is_decimal


def as_decimal(kind: SqlType) -> SqlType:
    """The decimal an integer becomes when it meets one."""
    return decimal(_DIGITS[kind.name], 0) if kind.is_integer else kind.bare


def common(a: SqlType, b: SqlType) -> SqlType | None:
    """The type both sides of a comparison, or all branches of a CASE, become; None when we do not know."""
    if a.bare == b.bare:
        return a.bare
    for one, other in ((a, b), (b, a)):
        if one.name == "NULL" or (one.name == "VARCHAR" and one.literal is not None):
            return other.bare
    if a.is_number and b.is_number:
        return _common_number(a, b)
    if a.is_moment and b.is_moment:
        return SqlType(MOMENTS[max(MOMENTS.index(a.name), MOMENTS.index(b.name))])
    return None


def _common_number(a: SqlType, b: SqlType) -> SqlType:
    if a.is_integer and b.is_integer:
        return _common_integer(a, b)
    if "DOUBLE" in (a.name, b.name):
        return DOUBLE
    x, y = as_decimal(a), as_decimal(b)
    scale = max(x.scale, y.scale)
    whole = max(x.precision - x.scale, y.precision - y.scale)
    if a.is_decimal and b.is_decimal:
        # Digits before the point go first; only an integer leaves the decimal's scale alone.
        scale = min(scale, MAX_DECIMAL_DIGITS - whole)
    return decimal(whole + scale, scale)


def of_remainder(a: SqlType, b: SqlType) -> SqlType | None:
    """Type of a remainder; None where DuckDB falls back to doubles."""
    x, y = as_decimal(a), as_decimal(b)
    scale = max(x.scale, y.scale)
    precision = max(x.precision - x.scale, y.precision - y.scale) + scale
    return decimal(precision, scale) if precision <= MAX_DECIMAL_DIGITS else None


def _common_integer(a: SqlType, b: SqlType) -> SqlType:
    for one, other in ((a, b), (b, a)):
        if isinstance(one.literal, int) and other.literal is None and _fits(one.literal, other):
            return other
    return (a if a.bits >= b.bits else b).bare


def _fits(value: int, kind: SqlType) -> bool:
    return -(1 << (kind.bits - 1)) <= value < 1 << (kind.bits - 1)


def of_sum(a: SqlType, b: SqlType) -> SqlType:
    """Type of a sum or difference of two numbers, one of them a decimal."""
    x, y = as_decimal(a), as_decimal(b)
    scale = max(x.scale, y.scale)
    return decimal(max(x.precision - x.scale, y.precision - y.scale) + scale + 1, scale)


def of_product(a: SqlType, b: SqlType) -> SqlType | None:
    """Type of a product of two numbers, one of them a decimal; None when DuckDB has none either."""
    x, y = as_decimal(a), as_decimal(b)
    precision, scale = x.precision + y.precision, x.scale + y.scale
    if precision > _INT64_DIGITS and max(x.precision, y.precision) <= _INT64_DIGITS and scale < _INT64_DIGITS:
        precision = _INT64_DIGITS
    return decimal(precision, scale) if scale <= MAX_DECIMAL_DIGITS else None


def of_number(text: str) -> SqlType:
    """Type of a number written as `text`."""
    if "e" in text.lower():
        return DOUBLE
    whole, point, fraction = text.partition(".")
    if point:
        return replace(decimal(max(len(whole) + len(fraction), 1), len(fraction)), literal=text)
    value = int(text)
    for kind in (INTEGER, BIGINT, HUGEINT):
        if _fits(value, kind):
            return replace(kind, literal=value)
    return DOUBLE
