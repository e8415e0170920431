"""What was done to a generated row, and which rules it must fire for that: docs/detection.md turned into a table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from lake.rules import Rule
from tasks.generation.draws import Array

# Of a decoy, which lies just inside a boundary and fires nothing.
NO_RULE = "none"
RULES = (*Rule, NO_RULE)
_FREQUENCY = RULES.index(Rule.FREQUENCY)


class Mark(IntEnum):
    """What a row is; one that says more than `NATURAL` was injected."""

    NATURAL = 0
    BURST_BEGIN = 1
    CARD_TESTING = 2
    BUSY_DAY = 3
    OUT_OF_LINE = 4
    VERY_HIGH = 5
    TEN_IN_A_MINUTE = 6
    BURST_OF_60_SECONDS = 7
    BURST_OF_61_SECONDS = 8
    EXACTLY_10000 = 9
    JUST_ABOVE_10000 = 10
    Z_EXACTLY_3 = 11
    Z_JUST_ABOVE_3 = 12


# Injections of many rows into one day; the day becomes one of unusual frequency.
CROWDED = (
    Mark.CARD_TESTING,
    Mark.BUSY_DAY,
    Mark.TEN_IN_A_MINUTE,
    Mark.BURST_OF_61_SECONDS,
    Mark.BURST_OF_60_SECONDS,
)
# Accounts whose every amount is known, so that one transaction stands exactly on a boundary.
BOUNDARIES = (Mark.EXACTLY_10000, Mark.Z_EXACTLY_3, Mark.JUST_ABOVE_10000, Mark.Z_JUST_ABOVE_3)
# In the order in which a small share is spent on them.
DECOYS = (
    Mark.TEN_IN_A_MINUTE,
    Mark.BURST_OF_61_SECONDS,
    Mark.EXACTLY_10000,
    Mark.Z_EXACTLY_3,
    Mark.BURST_OF_60_SECONDS,
    Mark.JUST_ABOVE_10000,
    Mark.Z_JUST_ABOVE_3,
)

# `frequency` is not listed: it follows from the day.
_FIRES: dict[Mark, tuple[str, ...]] = {
    Mark.CARD_TESTING: (Rule.VELOCITY,),
    Mark.OUT_OF_LINE: (Rule.HIGH_AMOUNT,),
    Mark.VERY_HIGH: (Rule.HIGH_AMOUNT, Rule.VERY_HIGH_AMOUNT),
    Mark.JUST_ABOVE_10000: (Rule.VERY_HIGH_AMOUNT,),
    Mark.Z_JUST_ABOVE_3: (Rule.HIGH_AMOUNT,),
    Mark.EXACTLY_10000: (NO_RULE,),
    Mark.Z_EXACTLY_3: (NO_RULE,),
}
_FIRES_TABLE: Array = np.array([[rule in _FIRES.get(mark, ()) for rule in RULES] for mark in Mark])
# Reasons by mark, then those of the other rows of a crowded day.
WHYS = (*(mark.name.lower() for mark in Mark), *(f"day_of_{mark.name.lower()}" for mark in Mark))
_OWN_REASON_ON_A_CROWDED_DAY: Array = np.array([mark in CROWDED and mark != Mark.CARD_TESTING for mark in Mark])


@dataclass(frozen=True, slots=True)
class Truth:
    """Rows that must fire: position among the rows asked about, position in `RULES`, position in `WHYS`."""

    row: Array
    rule: Array
    why: Array


def truth(mark: Array, crowded_by: Array) -> Truth:
    """What rows must fire, in the order of rows.

    Args:
        mark: What each row is.
        crowded_by: What made the row's day a crowded one for its account; 0 where nothing did.
    """
    known = np.flatnonzero(mark | crowded_by)
    own, day = mark[known], crowded_by[known]
    fires = _FIRES_TABLE[own]
    fires[:, _FREQUENCY] |= day > 0
    row, rule = np.nonzero(fires)
    by_day = (rule == _FREQUENCY) & ~_OWN_REASON_ON_A_CROWDED_DAY[own[row]]
    # An ordinary row of a busy day is as much a part of it as an added one.
    by_day &= day[row] != Mark.BUSY_DAY
    why = np.where(rule == _FREQUENCY, day[row], own[row]) + by_day * len(Mark)
    return Truth(known[row], rule.astype(np.int8), why.astype(np.int8))
