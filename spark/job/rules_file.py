"""Thresholds from a JSON file, for the job that has no settings of the platform at hand."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from lake.errors import ConfigurationError
from lake.rules import AmountMethod, AnomalyRules


@dataclass(frozen=True)
class Range:
    """What a threshold may be: from `least` (above it, when `is_open`) to `most`, `digits` behind the point."""

    least: int
    most: int | Decimal
    is_open: bool = False
    digits: int = 0

    def __contains__(self, value: Decimal) -> bool:
        above = value > self.least if self.is_open else value >= self.least
        return above and value <= self.most and value == round(value, self.digits)

    def __str__(self) -> str:
        digits = f", at most {self.digits} digits behind the point" if 0 < self.digits < _ANY_DIGITS else ""
        return f"{'above' if self.is_open else 'from'} {self.least} to {self.most}{digits}"


_ANY_DIGITS = 17
_Z = Range(0, 1_000, is_open=True, digits=_ANY_DIGITS)
# Those of the platform's own settings (lake.settings.DetectSettings), held together by a test.
RANGES = {
    "velocity_count": Range(1, 10_000),
    "velocity_window_s": Range(1, 86_400),
    "z_threshold": _Z,
    "mad_threshold": _Z,
    "min_history": Range(2, 1_000_000),
    "zero_spread_ratio": Range(1, 1_000_000, digits=4),
    "very_high_amount": Range(0, Decimal("9999999999999999.99"), is_open=True, digits=2),
    "frequency_z_threshold": _Z,
    "frequency_min_count": Range(1, 1_000_000),
    "frequency_min_days": Range(2, 10_000),
}


def read_rules(file: Path) -> AnomalyRules:
    """Thresholds of a file such as ``{"velocity_count": 20, "very_high_amount": "5000.00"}``; the rest as declared.

    Raises:
        ConfigurationError: Not readable, not JSON, or a threshold is unknown or impossible.
    """
    try:
        written = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", where=str(file), mend="--rules FILE") from None
    except ValueError as error:
        raise ConfigurationError(f"not JSON: {error}", where=str(file), mend='{"velocity_count": 10}') from None
    if not isinstance(written, dict):
        raise ConfigurationError("expected names and values", where=str(file), mend='{"velocity_count": 10}')
    return AnomalyRules(**{name: _threshold(name, value, file) for name, value in written.items()})


def _threshold(name: str, value: object, file: Path) -> Any:
    where = f"{file}: {name}"
    if name == "amount_method":
        if value not in set(AmountMethod):
            raise ConfigurationError(f"{value!r} is no method", where=where, mend="z, or mad")
        return AmountMethod(str(value))
    if name not in RANGES:
        known = [field.name for field in fields(AnomalyRules)]
        near = difflib.get_close_matches(name, known, n=1) or known
        raise ConfigurationError("no such threshold", where=where, mend=f"known: {', '.join(near)}")
    kind = type(getattr(AnomalyRules, name))
    number = _number(value)
    if number is None or number not in RANGES[name]:
        raise ConfigurationError(f"{value} is impossible", where=where, mend=f"a number {RANGES[name]}")
    return kind(number)


def _number(value: object) -> Decimal | None:
    """A number, or text that is one, as decimals of settings are written; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str | float):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if math.isfinite(number) else None
