"""The rules of values, each a condition on a whole column: landing's for text, and silver's for what text stands for.

Tests hold them to the SQL of both, row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from api.rows.rules import MAX_TEXT_CHARS
from lake.table import MONEY, TIMESTAMP
from lake.text_types import BELOW_MICROSECONDS, DECIMAL, FOUR_DIGIT_YEAR, LOCAL_TIME, TIME, finer_than

Mask = npt.NDArray[np.bool_]
# Column, rule (key of `FIELD_RULES`), and the rows that break it.
Rule = tuple[str, str, Mask]

_WORDS = frozenset({"category", "currency", "channel"})
CHANNELS = frozenset({"in_store", "online"})
# What SQL's TRIM removes on the engine that builds silver: Unicode's space separators (category Zs), no tabs.
SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
CURRENCY = "^[A-Z]{3}$"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_US, BEHIND_US = (
    int((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000 for year in (1900, 2201)
)
MAX_AMOUNT = Decimal("9999999999.99")

# Days of the Gregorian calendar, leap years included.
_LEAP_YEAR = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
REAL_DAY = (
    r"(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
    rf"|{_LEAP_YEAR}-02-29)"
)
_BEYOND_AMOUNT = r"^[+-]?0*[1-9]\d{10}|^-.*[1-9]"


def microseconds(moments: Any) -> npt.NDArray[np.int64]:
    """Microseconds since 1970; 0 where NULL."""
    values: npt.NDArray[np.int64] = pc.fill_null(pc.cast(moments, pa.int64()), 0).to_numpy(zero_copy_only=False)
    return values


def cut_to_microseconds(moments: Any) -> Any:
    return pc.replace_substring_regex(moments, r"(\.\d{6})\d+", r"\1")


def without_leading_zeros(amounts: Any) -> Any:
    return pc.replace_substring_regex(amounts, r"^([+-]?)0+(\d)", r"\1\2")


def _mask(condition: Any) -> Mask:
    """An Arrow condition as a mask; NULL is False."""
    mask: Mask = pc.fill_null(condition, False).to_numpy(zero_copy_only=False)
    return mask


def _found(values: Any, pattern: str) -> Mask:
    return _mask(pc.match_substring_regex(values, pattern))


def _is(values: Any, pattern: str) -> Mask:
    return _found(values, f"^(?:{pattern})$")


def _null(values: Any) -> Mask:
    return _mask(pc.is_null(values))


def _too_long(name: str, texts: Any) -> Rule:
    return name, "too_long", _mask(pc.greater(pc.utf8_length(texts), MAX_TEXT_CHARS))


def text_rules(name: str, texts: Any) -> Iterator[Rule]:
    # Silver conforms the words of these before it looks at them.
    words = pc.utf8_trim(texts, characters=SPACES) if name in _WORDS else texts
    missing = _mask(pc.equal(words, "")) | _null(texts)
    yield name, "missing", missing
    if name == "currency":
        yield name, "unknown", ~missing & ~_found(pc.utf8_upper(words), CURRENCY)
    elif name == "channel":
        known = _mask(pc.is_in(pc.utf8_lower(words), value_set=pa.array(sorted(CHANNELS))))
        yield name, "unknown", ~missing & ~known
    yield _too_long(name, texts)
    yield name, "has_nul", _mask(pc.match_substring(texts, "\0"))


def moment_rules(moments: Any) -> Iterator[Rule]:
    """Rules of `occurred_at` as text: landing's, and silver's range where the text is a moment."""
    name, null = "occurred_at", _null(moments)
    local, zoned = _is(moments, LOCAL_TIME), _is(moments, TIME)
    four_digits = _found(moments, FOUR_DIGIT_YEAR)
    real = zoned & _found(moments, f"^{REAL_DAY}[T ]")
    us = np.zeros(len(moments), np.int64)
    us[real] = microseconds(pc.cast(cut_to_microseconds(moments.filter(pa.array(real))), TIMESTAMP))
    beyond = zoned & ~four_digits | real & ((us < FIRST_US) | (us >= BEHIND_US))
    yield name, "missing", null
    yield name, "has_no_zone", local
    yield name, "not_a_timestamp", ~null & ~local & (~zoned | four_digits & ~real)
    yield name, "out_of_range", beyond
    yield name, "too_precise", zoned & _found(moments, BELOW_MICROSECONDS)
    yield _too_long(name, moments)


def amount_rules(amounts: Any) -> Iterator[Rule]:
    """Rules of `amount` as text: landing's, and silver's narrower range."""
    name, null, decimal = "amount", _null(amounts), _is(amounts, DECIMAL)
    yield name, "missing", null
    yield name, "not_a_decimal", ~null & ~decimal
    yield name, "too_precise", decimal & _found(amounts, finer_than(MONEY.scale))
    yield name, "out_of_range", decimal & _found(amounts, _BEYOND_AMOUNT)
    yield _too_long(name, amounts)


def typed_moment_rules(moments: Any) -> Iterator[Rule]:
    name, null, us = "occurred_at", _null(moments), microseconds(moments)
    yield name, "missing", null
    yield name, "out_of_range", ~null & ((us < FIRST_US) | (us >= BEHIND_US))


def typed_amount_rules(amounts: Any) -> Iterator[Rule]:
    zero, most = (pa.scalar(value, MONEY) for value in (Decimal("0.00"), MAX_AMOUNT))
    yield "amount", "missing", _null(amounts)
    yield "amount", "out_of_range", _mask(pc.less(amounts, zero)) | _mask(pc.greater(amounts, most))
