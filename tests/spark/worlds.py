"""Small random worlds of transactions, many of them in one table: an engine takes as long for one as for a thousand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.tables.bronze import TRANSACTIONS
from tests.spark.oracle import Transaction

World = tuple[Transaction, ...]
T = TypeVar("T")

SECOND_US, DAY_US = 1_000_000, 86_400_000_000
# 2026-01-01T00:00Z, a midnight.
START_US = 20_454 * DAY_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Edges of a window of 60 s and of one of 5 s, and of a day.
_STEPS_US = [0, 0, 1, SECOND_US, 5_499_999, 6 * SECOND_US]
_STEPS_US += [length * SECOND_US + off for length in (5, 60, 86_400) for off in (-1, 0, 1)]
# Bytes order them 0 < Z < a < é < U+FF41 < 𝄞; UTF-16 has 𝄞 before U+FF41, a locale Z after a.
_INITIALS = "0Zaé\uff41𝄞"
# Around the thresholds of both sets of rules, zero, and what twelve digits hold.
_CENTS = [0, 0, 1, 2, 3, 100, 101, 199, 200, 201, 4_999, 5_000, 5_001, 999_999, 1_000_000, 1_000_001]
_CENTS += [24_600_000, 999_999_999_998, 999_999_999_999]


def worlds() -> st.SearchStrategy[World]:
    """One to four accounts that buy in one or two categories, none with more than about forty transactions."""
    return _worlds(st.one_of(spaced(), bursts(), days()), _palettes(), st.sampled_from(_INITIALS))


@st.composite
def _worlds(
    draw: st.DrawFn,
    kinds: st.SearchStrategy[list[int]],
    palettes: st.SearchStrategy[list[int]],
    initials: st.SearchStrategy[str],
) -> World:
    categories = st.sampled_from(["c", "d"][: draw(st.integers(1, 2))])
    rows: list[Transaction] = []
    for account in range(draw(st.integers(1, 4))):
        palette = st.sampled_from(draw(palettes))
        for stamp in draw(kinds):
            key = f"{draw(initials)}{len(rows)}"
            rows.append(Transaction(key, f"a{account}", draw(categories), START_US + stamp, draw(palette)))
    return tuple(rows)


def spaced() -> st.SearchStrategy[list[int]]:
    """Stamps of 1 to 14 transactions (ten others make a history), in steps that meet edges."""
    return st.lists(st.sampled_from(_STEPS_US), min_size=1, max_size=14).map(_summed)


def bursts() -> st.SearchStrategy[list[int]]:
    """Stamps of 9 to 13 transactions at once, once or twice, a window or nearly one apart, some out of step."""
    gap = st.sampled_from([30, 59, 60, 61, 120]).map(lambda seconds: seconds * SECOND_US)
    group = st.integers(9, 13).flatmap(
        lambda size: st.lists(
            st.sampled_from([0, 0, 1, 4 * SECOND_US, 60 * SECOND_US - 1]), min_size=size, max_size=size
        )
    )
    once = group.map(sorted)
    twice = st.tuples(group, gap, group).map(lambda drawn: [*drawn[0], *(drawn[1] + stamp for stamp in drawn[2])])
    return st.one_of(once, twice)


def days() -> st.SearchStrategy[list[int]]:
    """Stamps of 13 to 18 days of few transactions and one, anywhere, of many; at the first or last moments of days."""
    counts = st.one_of(
        st.integers(13, 18).map(lambda length: [1] * length),
        st.lists(st.sampled_from([0, 1, 1, 2]), min_size=13, max_size=18),
    )
    many = st.one_of(st.integers(1, 4), st.integers(8, 12))
    within = st.sampled_from([300 * SECOND_US, DAY_US // 12, 1])
    return st.tuples(counts, st.integers(0, 17), many, within, st.booleans()).map(_days)


def _days(drawn: tuple[list[int], int, int, int, bool]) -> list[int]:
    counts, place, many, within, from_the_end = drawn
    counts = [*counts]
    counts[place % len(counts)] = many
    stamps = [number * within for number in range(max(counts))]
    if from_the_end:
        stamps = [DAY_US - 1 - stamp for stamp in stamps]
    return [day * DAY_US + stamp for day, count in enumerate(counts) for stamp in stamps[:count]]


def _summed(steps: Sequence[int]) -> list[int]:
    return [sum(steps[: end + 1]) for end in range(len(steps))]


def _palettes() -> st.SearchStrategy[list[int]]:
    """An account's amounts, in cents: all equal, two that tie, edges, or anything."""
    edge = st.sampled_from(_CENTS)
    return st.one_of(
        st.lists(edge, min_size=1, max_size=1),
        st.tuples(edge, edge).map(lambda pair: [pair[0]] * 7 + [pair[1]]),
        st.lists(edge, min_size=2, max_size=5),
        st.lists(st.integers(900, 1_100), min_size=3, max_size=8).map(lambda usual: [*usual, 2_000]),
        st.lists(st.integers(0, 999_999_999_999), min_size=2, max_size=6),
    )


def drawn(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """Examples of a strategy, as a property test of that many would see them."""
    examples: list[T] = []

    @settings(max_examples=count, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(example: T) -> None:
        examples.append(example)

    collect()
    return examples


def packed(given_worlds: Sequence[World]) -> list[Transaction]:
    """All worlds in one: no account, category or id is shared."""
    return [
        replace(
            row,
            transaction_id=f"{number}/{row.transaction_id}",
            account_id=f"{number}/{row.account_id}",
            category=f"{number}/{row.category}",
        )
        for number, world in enumerate(given_worlds)
        for row in world
    ]


def world_number(transaction_id: str) -> int:
    """The place of a packed transaction's world among those that were packed."""
    return int(transaction_id.partition("/")[0])


def as_table(rows: Sequence[Transaction]) -> pa.Table:
    """Rows as `silver.transactions` carries them, with every column that detection passes on."""
    return pa.Table.from_pylist([payload(row) for row in rows], schema=pa.schema([
        pa.field(column.name, column.type) for column in TRANSACTIONS.columns if not column.name.startswith("_")
    ]))  # fmt: skip


def payload(row: Transaction) -> dict[str, object]:
    """A row's columns of `silver.transactions`."""
    return {
        "transaction_id": row.transaction_id,
        "account_id": row.account_id,
        "merchant_id": f"m{row.cents % 7}",
        "category": row.category,
        "occurred_at": _EPOCH + timedelta(microseconds=row.at_us),
        "amount": Decimal(row.cents).scaleb(-2),
        "currency": "EUR",
        "channel": "online",
    }


def smaller(world: World, differs: Callable[[Sequence[World]], set[int]]) -> World:
    """A world that still differs, and from which no single row can be taken.

    Args:
        world: One that differs.
        differs: Says at which places of a sequence of worlds there are some that differ; asked once a round.
    """
    while True:
        sizes = {max(1, len(world) // part) for part in (2, 4, 8)} | {1}
        shorter = [world[:start] + world[start + size :] for size in sizes for start in range(0, len(world), size)]
        still = differs(shorter) if len(world) > 1 else set()
        if not still:
            return world
        world = min((shorter[number] for number in still), key=len)
