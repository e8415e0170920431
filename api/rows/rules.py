"""The rules a row from outside can break: names as landing and silver use them, and a sentence for each."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa

from api.problems import FieldError, pointer
from lake.table import TEXT
from lake.tables import BRONZE_TRANSACTIONS

COLUMNS = BRONZE_TRANSACTIONS.payload
NAMES = tuple(column.name for column in COLUMNS)
# What a row is in the lake, and what it is on its way in.
TYPED = pa.schema([pa.field(column.name, column.type) for column in COLUMNS])
AS_TEXT = pa.schema([pa.field(name, TEXT) for name in NAMES])

MAX_TEXT_CHARS = 256

# Rules of one field: `<field>_<key>` is the rule's name.
FIELD_RULES = {
    "missing": "{field} is needed and must not be null or empty.",
    "too_long": f"{{field}} may have at most {MAX_TEXT_CHARS} characters.",
    "has_nul": "{field} must not hold the character U+0000.",
    "not_text": "{field} must be a JSON string.",
    "not_a_timestamp": "{field} must be a moment that exists, such as 2026-01-31T09:30:00Z, as a JSON string.",
    "has_no_zone": "{field} needs its zone: Z or an offset such as +01:00.",
    "too_precise": "{field} has more digits after the point than are kept: {digits}.",
    "out_of_range": "{field} must be {range}.",
    "not_a_decimal": "{field} must be a decimal number such as 12.34, as a JSON number or string, without exponent.",
    "unknown": "{field} must be {choice}.",
}
# Rules of a row or of a field nobody declared.
ROW_RULES = {
    "unknown_field": "A row has no such field; it has {names}.",
    "duplicate_field": "The field is given more than once.",
    "not_an_object": "A row must be a JSON object.",
    "not_json": "The text is not JSON.",
    "not_utf8": "The text is not UTF-8.",
    "row_too_long": "A row may have at most 65536 bytes.",
    "nested_too_deep": "Arrays or objects lie in one another deeper than anything a row holds.",
    "transaction_id_conflict": "An earlier row of this batch has the same transaction_id and other values.",
}
# Rules of the columns of an Arrow stream.
COLUMN_RULES = {
    "missing_column": "The column is needed; wanted: {wanted}.",
    "unknown_column": "A row has no such column; it has {names}.",
    "duplicate_column": "The column is given more than once.",
    "column_type": "The column is {found}; wanted: {wanted}.",
}
_DIGITS = {"occurred_at": "microseconds, six digits", "amount": "cents, two digits"}
_RANGES = {
    "occurred_at": "in the years 1900 to 2200, UTC",
    # ISO 8583 gives an amount twelve digits, two of them cents.
    "amount": "from 0 to 9999999999.99",
}
_CHOICES = {"currency": "three letters, an ISO 4217 code such as EUR", "channel": "in_store or online"}


@lru_cache(maxsize=256)
def broken(field: str, key: str) -> FieldError:
    """A declared field broke a rule of `FIELD_RULES`; the pointer is that inside one row."""
    detail = FIELD_RULES[key].format(
        field=field,
        digits=_DIGITS.get(field, ""),
        range=_RANGES.get(field, ""),
        choice=_CHOICES.get(field, ""),
    )
    return FieldError(pointer(field), f"{field}_{key}", detail)


def row_error(rule: str, *where: str | int, detail: str | None = None) -> FieldError:
    """Something broke a rule of `ROW_RULES`; `detail` says more than its sentence."""
    return FieldError(pointer(*where), rule, detail or ROW_RULES[rule].format(names=", ".join(NAMES)))


def column_error(rule: str, name: str, *, found: object = "", wanted: str = "") -> FieldError:
    """A column of an Arrow stream broke a rule of `COLUMN_RULES`, or lacks its zone."""
    if rule not in COLUMN_RULES:
        return broken(name, rule.removeprefix(f"{name}_"))
    shown = str(found) if len(str(found)) <= MAX_TEXT_CHARS else str(found)[:MAX_TEXT_CHARS] + "…"
    detail = COLUMN_RULES[rule].format(found=shown, wanted=wanted, names=", ".join(NAMES))
    return FieldError(pointer(name), rule, detail)


def inside(index: int, error: FieldError) -> FieldError:
    """The error of a row as that of row `index` (from 0) of a batch."""
    return FieldError(f"#/{index}{error.pointer[1:]}"[:256], error.rule, error.detail)
