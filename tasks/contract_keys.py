"""What a contract may say: every key of every check type, and whether its value can mean anything.

Soda 4 passes over keys it does not know. The lists here are part of Soda's JSON schema (a test holds them
against it) and leave out what would let a gate look at fewer rows (`filter`, `scope`), depend on the
environment (`variables`) or say two things at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.contract_yaml import Block, DeclaredCheck, Items

Found = Iterator[tuple[int, str]]
"""Problems as line and message."""

TOP_KEYS = frozenset({"dataset", "columns", "checks"})
COLUMN_KEYS = frozenset({"name", "data_type", "numeric_precision", "numeric_scale", "checks"})
COMPARISONS = {
    "must_be": "exactly",
    "must_not_be": "anything but",
    "must_be_greater_than": "more than",
    "must_be_greater_than_or_equal": "at least",
    "must_be_less_than": "less than",
    "must_be_less_than_or_equal": "at most",
}
RANGES = {"must_be_between": "between", "must_be_not_between": "not between"}
LOWER = ("greater_than", "greater_than_or_equal")
UPPER = ("less_than", "less_than_or_equal")
LEVELS = ("fail", "warn")
_SLUG = re.compile(r"[a-z][a-z0-9_]*")
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class CheckKind:
    """The keys of one check type.

    Args:
        required: Keys that must be there.
        one_of: Keys of which exactly one says what is checked; a check says one thing.
        optional: Keys that may be there; `qualifier` may everywhere.
        metrics: What a threshold may count in.
        units: What a threshold may measure time in.
        at_least_zero: Whether the measured value can never be negative.
    """

    required: frozenset[str] = frozenset()
    one_of: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    metrics: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    at_least_zero: bool = True

    @property
    def keys(self) -> frozenset[str]:
        return self.required | self.one_of | self.optional | {"qualifier"}


_COUNTED = ("count", "percent")
_SQL = frozenset({"expression", "query"})
_THRESHOLD = frozenset({"threshold"})
VALIDITY = frozenset(
    {
        *("valid_values", "invalid_values", "valid_format", "invalid_format", "valid_min", "valid_max"),
        *("valid_length", "valid_min_length", "valid_max_length", "valid_reference_data"),
    }
)

TABLE_CHECKS: dict[str, CheckKind] = {
    "schema": CheckKind(),
    "row_count": CheckKind(required=_THRESHOLD),
    "freshness": CheckKind(
        required=frozenset({"column", "threshold"}), units=("minute", "hour", "day"), at_least_zero=False
    ),
    "duplicate": CheckKind(required=frozenset({"columns"}), optional=_THRESHOLD, metrics=_COUNTED),
    "failed_rows": CheckKind(required=frozenset({"qualifier"}), one_of=_SQL, optional=_THRESHOLD),
    "metric": CheckKind(required=frozenset({"qualifier", "threshold"}), one_of=_SQL, at_least_zero=False),
}
COLUMN_CHECKS: dict[str, CheckKind] = {
    "missing": CheckKind(optional=_THRESHOLD, metrics=_COUNTED),
    "invalid": CheckKind(one_of=VALIDITY, optional=_THRESHOLD, metrics=_COUNTED),
    "duplicate": CheckKind(optional=_THRESHOLD, metrics=_COUNTED),
    "failed_rows": CheckKind(required=frozenset({"qualifier"}), one_of=_SQL, optional=_THRESHOLD),
    "aggregate": CheckKind(required=frozenset({"function", "threshold"}), at_least_zero=False),
    "metric": CheckKind(required=frozenset({"qualifier", "threshold"}), one_of=_SQL, at_least_zero=False),
}


def kinds_at(column: str | None) -> Mapping[str, CheckKind]:
    """Check types that may stand under a column, or for None beside the columns."""
    return TABLE_CHECKS if column is None else COLUMN_CHECKS


def unknown_keys(block: Block, allowed: Iterable[str], place: str) -> Found:
    """Keys that may not stand in a block, with the nearest that may."""
    names = sorted(allowed)
    for key in block:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            yield block.line_of(key), f"unknown key {key!r} in {place}; {hint}allowed: {', '.join(names) or 'none'}"


def missing_keys(block: Block, required: Iterable[str], place: str) -> Found:
    for key in sorted(required):
        if block.get(key) is None:
            yield block.line_of(key), f"{place} needs {key!r}"


def wrong_body(check: DeclaredCheck, kind: CheckKind) -> Found:
    """Keys a check lacks or may not have, and values that cannot mean anything."""
    place = f"a {check.type!r} check"
    yield from unknown_keys(check.body, kind.keys, place)
    yield from missing_keys(check.body, kind.required, place)
    said = sorted(kind.one_of & check.body.keys())
    if kind.one_of and len(said) != 1:
        found = f"not {' and '.join(said)}" if said else "so it checks nothing"
        yield check.line, f"{place} needs exactly one of {', '.join(sorted(kind.one_of))}, {found}"
    for key, value in check.body.items():
        fits, wanted = _VALUES.get(key, (_anything, ""))
        if not fits(value):
            yield check.body.line_of(key), f"{key!r} must be {wanted}, not {value!r}"
    if isinstance(check.body.get("threshold"), Block):
        yield from _wrong_threshold(check.threshold, kind, f"the threshold of {place}")


def _wrong_threshold(threshold: Block, kind: CheckKind, place: str) -> Found:
    allowed = {*COMPARISONS, *RANGES, "level"}
    allowed |= {"metric"} if kind.metrics else set()
    allowed |= {"unit"} if kind.units else set()
    yield from unknown_keys(threshold, allowed, place)
    for key, choices in (("level", LEVELS), ("metric", kind.metrics), ("unit", kind.units)):
        if key in threshold and choices and threshold[key] not in choices:
            yield threshold.line_of(key), f"{key!r} must be {' or '.join(choices)}, not {threshold[key]!r}"
    if kind.units and "unit" not in threshold:
        yield threshold.line, f"{place} needs 'unit': {', '.join(kind.units)}"
    said = [key for key in threshold if key in COMPARISONS or key in RANGES]
    if len(said) != 1:
        yield threshold.line, f"{place} needs exactly one of {', '.join((*COMPARISONS, *RANGES))}"
        return
    key, value = said[0], threshold[said[0]]
    if key in RANGES:
        yield from _wrong_range(value, threshold.line_of(key), key)
    elif not _number(value):
        yield threshold.line_of(key), f"{key!r} must be a number, not {value!r}"
    elif kind.at_least_zero and _always_holds(key, value, threshold.get("metric") == "percent"):
        yield threshold.line_of(key), f"{key}: {value} holds whatever the rows are: a check without effect"


def _wrong_range(value: object, line: int, key: str) -> Found:
    if not isinstance(value, Block):
        yield line, f"{key!r} needs a lower and an upper bound"
        return
    yield from unknown_keys(value, (*LOWER, *UPPER), repr(key))
    lower = [value[k] for k in LOWER if k in value]
    upper = [value[k] for k in UPPER if k in value]
    if len(lower) != 1 or len(upper) != 1 or not _number(lower[0]) or not _number(upper[0]):
        yield line, f"{key!r} needs one lower bound ({', '.join(LOWER)}) and one upper ({', '.join(UPPER)}), numbers"
    elif lower[0] == upper[0] or (lower[0] > upper[0]) is (key == "must_be_between"):
        yield line, f"{key!r} has its bounds the wrong way round: {lower[0]} and {upper[0]}"


def _always_holds(comparison: str, bound: float, percent: bool) -> bool:
    """Whether every value from 0 (to 100 percent) passes."""
    return {
        "must_not_be": bound < 0,
        "must_be_greater_than": bound < 0,
        "must_be_greater_than_or_equal": bound <= 0,
        "must_be_less_than": percent and bound > _PERCENT,
        "must_be_less_than_or_equal": percent and bound >= _PERCENT,
    }.get(comparison, False)


def _anything(value: object) -> bool:  # noqa: ARG001 - one of the value tests
    return True


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _slug(value: object) -> bool:
    return isinstance(value, str) and bool(_SLUG.fullmatch(value))


def _length(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _choices(value: object) -> bool:
    return (
        isinstance(value, Items)
        and bool(value)
        and all(_text(v) or _number(v) for v in value)
        and len(set(value)) == len(value)
    )


def _format(value: object) -> bool:
    if not (isinstance(value, Block) and value.keys() == {"name", "regex"} and all(_text(v) for v in value.values())):
        return False
    try:
        re.compile(value["regex"])
    except re.error:
        return False
    return True


def _reference(value: object) -> bool:
    return isinstance(value, Block) and value.keys() == {"dataset", "column"} and all(_text(v) for v in value.values())


def _mapping(value: object) -> bool:
    return isinstance(value, Block)


_CHOICES = (_choices, "a list of different texts (quoted where YAML sees more in them) or numbers")
_FORMAT = (_format, "'name' and 'regex', the latter a regular expression")
_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "qualifier": (_slug, "lower-case letters, digits and underscores, such as 'ends_before_it_starts'"),
    "threshold": (_mapping, "a comparison, such as must_be_greater_than: 0"),
    "expression": (_text, "SQL"),
    "query": (_text, "SQL"),
    "function": (_text, "the name of an aggregate"),
    "column": (_text, "the name of a column"),
    "columns": _CHOICES,
    "valid_values": _CHOICES,
    "invalid_values": _CHOICES,
    "valid_format": _FORMAT,
    "invalid_format": _FORMAT,
    "valid_min": (_number, "a number"),
    "valid_max": (_number, "a number"),
    "valid_length": (_length, "a whole number, at least 0"),
    "valid_min_length": (_length, "a whole number, at least 0"),
    "valid_max_length": (_length, "a whole number, at least 0"),
    "valid_reference_data": (_reference, "'dataset' and 'column'"),
}
