"""Dirt: rows delivered twice or late, and rows that break one rule each.

Nothing clean is spoilt. A broken row is an extra row under an identifier of its own, copied from a clean one and
changed in one way, so nobody refers to it and the truth is exact:

    received = clean + second copies + broken,  published = clean,  duplicates = second copies,  quarantined = broken

The rules assumed of silver: every column is there that silver requires; codes are those of the declarations; channels,
plans, people, visits, subscriptions, invoices and payments referred to exist; money is not negative and refunds are
positive; clicks are at most impressions; nothing ends before it starts; satisfaction is 1 to 5; latency is not
negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np

from lake.tables import SILVER
from lake.tables.bronze import COMPANY
from tasks.generation.columns import END_REASONS, ID_DIGITS, Rows, Scalar, nobody, null, unknown_code
from tasks.generation.draws import Array, Draws, choices
from tasks.generation.people import BLOCK_PEOPLE
from tasks.generation.seasons import DAY, HOUR

# Numbers of broken rows, beyond any clean row of the block.
_BROKEN_FROM = 90_000_000
# The last eight digits of an identifier count inside a block.
_NUMBERS_A_BLOCK: int = 10 ** (ID_DIGITS - 4)
# People are numbered across blocks: clean ones stay below 20.5 million at the largest scale.
_BROKEN_PEOPLE_FROM = 70_000_000
_DUPLICATE_WEIGHT, _LATE_WEIGHT, _BROKEN_WEIGHT = 0.3, 0.2, 0.5
_BAD_SCORE = 9


class Kind(StrEnum):
    """How a row can break a rule; the names are those of ``_ground_truth.json``."""

    MISSING = "missing"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_CODE = "unknown_code"
    BROKEN_REFERENCE = "broken_reference"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break a row: its kind, and new values of columns computed from the rows to break."""

    kind: Kind
    changes: Callable[[Rows], Mapping[str, Array | Scalar]]


@dataclass(slots=True)
class Tally:
    """What became of the rows of one table, in rows."""

    rows_clean: int = 0
    rows_total: int = 0
    duplicates: int = 0
    late: int = 0
    missing: int = 0
    out_of_range: int = 0
    unknown_code: int = 0
    broken_reference: int = 0

    def add(self, other: Tally) -> None:
        """Count the rows of another part of the table."""
        for name, count in asdict(other).items():
            setattr(self, name, getattr(self, name) + count)

    @property
    def silver(self) -> dict[str, int]:
        """The balance silver must come to."""
        broken = self.missing + self.out_of_range + self.unknown_code + self.broken_reference
        return {
            "received": self.rows_total,
            "published": self.rows_clean,
            "duplicates": self.duplicates,
            "quarantined": broken,
        }


def _missing(table: str) -> list[Fault]:
    """Every column that silver requires, set to NULL."""
    silver = next(t for t in SILVER if t.name == table)
    received = [c.name for c in next(t for t in COMPANY if t.name == table).payload]
    required = [name for name in received if silver.column(name).required]
    return [Fault(Kind.MISSING, lambda rows, c=column: {c: null(rows[c])}) for column in required]  # type: ignore[misc]


def _unknown(*columns: str) -> list[Fault]:
    return [Fault(Kind.UNKNOWN_CODE, lambda _, c=column: {c: unknown_code(c)}) for column in columns]  # type: ignore[misc]


def _dangling(*columns: str) -> list[Fault]:
    return [Fault(Kind.BROKEN_REFERENCE, lambda _, c=column: {c: nobody(c)}) for column in columns]  # type: ignore[misc]


def _outside(*changes: Callable[[Rows], Mapping[str, Array | Scalar]]) -> list[Fault]:
    return [Fault(Kind.OUT_OF_RANGE, change) for change in changes]


_NEGATIVE_AMOUNT = _outside(lambda rows: {"amount": -1 - rows["amount"]})

FAULTS: dict[str, list[Fault]] = {
    "users": _missing("users") + _unknown("country", "device") + _dangling("channel_id"),
    "sessions": _missing("sessions")
    + _unknown("device")
    + _dangling("user_id", "channel_id")
    + _outside(lambda rows: {"ended_at": rows["started_at"] - HOUR}),
    "events": _missing("events")
    + _unknown("event_type")
    + _dangling("session_id", "user_id")
    + _outside(lambda rows: {"latency_ms": -1 - rows["latency_ms"]}),
    "marketing_spend": _missing("marketing_spend")
    + _dangling("channel_id")
    + _NEGATIVE_AMOUNT
    + _outside(lambda rows: {"clicks": rows["impressions"] + 1}),
    "subscriptions": [
        *_missing("subscriptions"),
        Fault(
            Kind.UNKNOWN_CODE,
            lambda rows: {"end_reason": unknown_code("end_reason"), "ended_at": rows["started_at"] + DAY},
        ),
        *_dangling("user_id", "plan_id"),
        *_outside(lambda rows: {"ended_at": rows["started_at"] - DAY, "end_reason": END_REASONS.index("cancelled")}),
    ],
    "invoices": _missing("invoices") + _dangling("subscription_id", "user_id") + _NEGATIVE_AMOUNT,
    "payments": _missing("payments") + _unknown("status", "method") + _dangling("invoice_id") + _NEGATIVE_AMOUNT,
    "refunds": _missing("refunds") + _unknown("reason") + _dangling("payment_id") + _NEGATIVE_AMOUNT,
    "support_tickets": _missing("support_tickets")
    + _unknown("priority", "category")
    + _dangling("user_id")
    + _outside(lambda _: {"satisfaction": _BAD_SCORE}),
    "experiment_assignments": _missing("experiment_assignments") + _unknown("variant") + _dangling("user_id"),
    "experiment_exposures": _missing("experiment_exposures") + _dangling("user_id"),
    "experiment_conversions": _missing("experiment_conversions") + _dangling("user_id"),
}


def soil(draws: Draws, table: str, rows: Rows, share: float, block: int) -> tuple[Rows, Rows, Tally]:
    """Rows delivered in time, rows delivered late, and the count of what was done.

    Args:
        draws: Random numbers.
        table: Bronze table; one of `FAULTS`.
        rows: Clean rows of a block; the first column is the key.
        share: Share of rows to duplicate, delay or break.
        block: Block they belong to.
    """
    key = next(iter(rows))
    count = len(rows[key])
    faults = FAULTS[table]
    chosen, doing = _choose(draws, count, share, faults)
    twice, late = chosen[doing == 0], chosen[doing == 1]
    # Of the second copies, every other one comes late.
    in_time = np.concatenate((np.delete(np.arange(count), late), twice[::2]))
    delayed = np.concatenate((late, twice[1::2]))
    tally = Tally(rows_clean=count, duplicates=len(twice), late=len(delayed))

    parts = [{name: values[in_time] for name, values in rows.items()}]
    number = _first_broken(table, block)
    for position, fault in enumerate(faults):
        victims = chosen[doing == position + _ACTIONS]
        if len(victims):
            parts.append(_broken({name: values[victims] for name, values in rows.items()}, key, fault, number))
            number += len(victims)
            setattr(tally, fault.kind, getattr(tally, fault.kind) + len(victims))
    main = {name: np.concatenate([part[name] for part in parts]) for name in rows}
    tally.rows_total = len(main[key]) + len(delayed)
    return main, {name: values[delayed] for name, values in rows.items()}, tally


# Duplicate and delay come before the faults of a table.
_ACTIONS = 2


def _choose(draws: Draws, count: int, share: float, faults: list[Fault]) -> tuple[Array, Array]:
    """Distinct rows, in order, and what to do with each: 0 to duplicate, 1 to delay, from 2 on a fault."""
    # Rounded at random, so that small blocks get their share on average.
    dirty = min(count, int(count * share + draws.uniform(1)[0]))
    if not dirty:
        return np.empty(0, np.int64), np.empty(0, np.int8)
    width = count // dirty
    chosen = np.arange(dirty) * width + (draws.uniform(dirty) * width).astype(np.int64)
    kinds = [fault.kind for fault in faults]
    weights = [_BROKEN_WEIGHT / len(set(kinds)) / kinds.count(kind) for kind in kinds]
    return chosen, draws.pick(choices(_DUPLICATE_WEIGHT, _LATE_WEIGHT, *weights), dirty)


def _broken(rows: Rows, key: str, fault: Fault, number: int) -> Rows:
    """Copies with numbers of their own, changed by the fault."""
    rows[key] = number + np.arange(len(rows[key]))
    for column, value in fault.changes(rows).items():
        rows[column] = np.broadcast_to(np.asarray(value, rows[column].dtype), rows[column].shape)
    return rows


def _first_broken(table: str, block: int) -> int:
    if table == "users":
        return _BROKEN_PEOPLE_FROM + block * BLOCK_PEOPLE
    return first_number(block) + _BROKEN_FROM


def first_number(block: int) -> int:
    """Number of the first row of a block in every table but users: the block, then eight digits."""
    return block * _NUMBERS_A_BLOCK + 1
