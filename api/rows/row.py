"""One JSON object to the texts of one row: quickly when it is right, in words when it is not.

msgspec decodes what is right. Whatever it refuses or leaves in doubt (of doubled keys it takes the last) is read again
by Python's own parser, which decides and names every wrong field.
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from api.problems import FieldError, malformed, pointer, unprocessable
from api.rows.rules import COLUMNS, NAMES, broken, row_error
from api.rows.validation import as_text_table, check
from lake.text_types import not_a

Texts = tuple[str, ...]

AMOUNT = NAMES.index("amount")
# Quotes around eight names and seven strings, and around an amount that is a string too. A doubled key adds at least
# two, whatever its value, as the row must still hold all eight names and seven strings.
QUOTES_WITH_NUMBER, QUOTES_WITH_STRING = 30, 32
# Eight fields at their longest, all of it escaped, have less than half of this.
_MAX_EXAMINED_BYTES = 64 * 1024
_MAX_STRANGE_FIELDS = 20
_MAX_SHOWN_CHARS = 64
_PLACES = {pointer(name): place for place, name in enumerate(NAMES)}
_NOT_JSON_AT_ALL = {"not_json", "not_utf8"}
_QUOTE = ord('"')
_STARTS_OF_AMOUNTS = frozenset(b'"-0123456789')

# The amount, number or string, stays as written: neither a float nor a tree of anything else is ever made of it.
Row = msgspec.defstruct(
    "Row", [(name, msgspec.Raw if name == "amount" else str) for name in NAMES], forbid_unknown_fields=True, gc=False
)
_decode = msgspec.json.Decoder(Row).decode
_as_tuple = msgspec.structs.astuple
# What msgspec raises for a body it does not take.
NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def read_row(body: bytes) -> Texts:
    """The eight texts of one row in declared order; a number given as amount keeps its digits.

    Raises:
        Problem: 400 when the body is not JSON; 422 with every wrong field when it is no row.
    """
    texts = read_quickly(body)
    if texts is not None:
        return texts
    examined = examine(body)
    if examined.texts is not None:
        return examined.texts
    (errors,) = errors_of([examined])
    if errors[0].rule in _NOT_JSON_AT_ALL:
        raise malformed(errors[0].detail, errors)
    raise unprocessable(f"The row breaks {len(errors)} rule{'s' if len(errors) > 1 else ''}.", errors)


def read_quickly(body: bytes) -> Texts | None:
    """The texts of a row that is right beyond doubt; None leaves it to `examine`."""
    try:
        values: tuple[Any, ...] = _as_tuple(_decode(body))
        amount = bytes(values[AMOUNT])
        if amount[0] not in _STARTS_OF_AMOUNTS or b"\\" in amount:
            return None
        is_text = amount[0] == _QUOTE
        if unescaped_quotes(body) != (QUOTES_WITH_STRING if is_text else QUOTES_WITH_NUMBER):
            return None
        digits = (amount[1:-1] if is_text else amount).decode()
    except NOT_DECODED:
        return None
    return (*values[:AMOUNT], digits, *values[AMOUNT + 1 :])


def unescaped_quotes(body: bytes) -> int:
    """Quotes that begin or end a JSON string; -1 where escaped backslashes make counting unsafe."""
    if b"\\" not in body:
        return body.count(b'"')
    return -1 if b"\\\\" in body else body.count(b'"') - body.count(b'\\"')


@dataclass(frozen=True, slots=True)
class Examined:
    """What one text turned out to be: the texts of a row, or what is wrong with its shape.

    Args:
        texts: In declared order; None when anything is wrong.
        readable: Every field that is text, None for the others; empty when the text is no object at all.
        wrong: Errors of declared fields.
        strange: Errors of the whole, and of fields nobody declared.
    """

    texts: Texts | None
    readable: tuple[str | None, ...] = ()
    wrong: tuple[FieldError, ...] = ()
    strange: tuple[FieldError, ...] = ()


def examine(body: bytes, max_strange: int = _MAX_STRANGE_FIELDS) -> Examined:
    """Read one row slowly, with every mistake in its shape named; never raises for what the body holds.

    Args:
        max_strange: So many undeclared or doubled fields are named, the others counted; 1 also saves the search for
            near names, which takes longer than all else.
    """
    value = _parsed(body)
    if isinstance(value, FieldError):
        return Examined(None, strange=(value,))
    return _examine_fields(value, max_strange)


def errors_of(examined: Sequence[Examined]) -> list[tuple[FieldError, ...]]:
    """All errors of rows whose shape is wrong: those of their shapes, and of the values of every other field."""
    objects = [row.readable for row in examined if row.readable]
    refused = dict(check(as_text_table(objects)).refused)
    positions = itertools.count()
    return [_merged(row, refused.get(next(positions), ()) if row.readable else ()) for row in examined]


def _merged(row: Examined, of_values: tuple[FieldError, ...]) -> tuple[FieldError, ...]:
    told = {error.pointer for error in row.wrong}
    # A field that is no text was checked as if it were missing.
    others = [error for error in of_values if error.pointer not in told]
    return (*sorted((*row.wrong, *others), key=lambda error: _PLACES[error.pointer]), *row.strange)


class _Number(str):
    """A JSON number as it was written."""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its doubled keys."""


def _refuse_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is no JSON value", "", 0)


# Reads any JSON without a float, an integer of unbounded cost or a forgotten key.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_float=_Number, parse_int=_Number, parse_constant=_refuse_constant
)


def _parsed(body: bytes) -> _Pairs | FieldError:
    """The pairs of a JSON object, or why there are none."""
    if len(body) > _MAX_EXAMINED_BYTES:
        return row_error("row_too_long")
    try:
        text = body.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        return row_error("not_utf8", detail=f"Byte {error.start} is not UTF-8.")
    except json.JSONDecodeError as error:
        return row_error("not_json", detail=_not_json(text, error))
    except RecursionError:
        return row_error("nested_too_deep")
    return value if isinstance(value, _Pairs) else row_error("not_an_object")


def _not_json(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "There is no text."
    if text.startswith("\ufeff"):
        return "The text begins with a byte order mark; leave it out."
    return f"The text is not JSON: {error.msg} at character {error.pos}."


def _examine_fields(pairs: _Pairs, max_strange: int) -> Examined:
    given, strange = _told_apart(pairs, max_strange)
    readable: list[str | None] = []
    wrong: list[FieldError] = []
    for column in COLUMNS:
        found = given.get(column.name)
        text = _text(column.name, found)
        readable.append(text)
        if text is None:
            key = "missing" if found is None else not_a(column).removeprefix(f"{column.name}_")
            wrong.append(broken(column.name, key))
    texts = None if wrong or strange else tuple(text for text in readable if text is not None)
    return Examined(texts, tuple(readable), tuple(wrong), strange)


def _text(name: str, value: object) -> str | None:
    """The value as the text of a field; None where it is none, halves of surrogate pairs included."""
    if not isinstance(value, str) or (isinstance(value, _Number) and name != "amount"):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return str(value)


def _told_apart(pairs: _Pairs, max_strange: int) -> tuple[dict[str, Any], tuple[FieldError, ...]]:
    """Values of declared fields, and errors about all other keys."""
    given: dict[str, Any] = {}
    strange: list[tuple[str, str]] = []
    for name, value in pairs:
        if name in NAMES and name not in given:
            given[name] = value
        else:
            strange.append((name, "duplicate_field" if name in NAMES else "unknown_field"))
    told = [
        row_error(rule, name, detail=_unknown(name, max_strange > 1) if rule == "unknown_field" else None)
        for name, rule in dict.fromkeys(strange[:max_strange])
    ]
    if len(strange) > max_strange:
        told.append(row_error(strange[max_strange][1], detail=f"{len(strange) - max_strange} more fields like these."))
    return given, tuple(told)


def _unknown(name: str, search: bool) -> str:
    shown = name if len(name) <= _MAX_SHOWN_CHARS else name[:_MAX_SHOWN_CHARS] + "…"
    storable = shown.encode("utf-8", "backslashreplace").decode()
    near = difflib.get_close_matches(shown, NAMES, n=1) if search else []
    return f"A row has no field {storable!r}; {f'near: {near[0]}' if near else 'it has ' + ', '.join(NAMES)}."
