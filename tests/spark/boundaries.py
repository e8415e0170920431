"""Histories on either side of each boundary of the rules' defaults, by name (test_oracle.py judges most by hand)."""

from __future__ import annotations

from collections.abc import Sequence

from tests.spark.oracle import Transaction
from tests.spark.worlds import DAY_US, SECOND_US, START_US, World

WINDOW_US = 60 * SECOND_US
HOUR_US = 3_600 * SECOND_US


def at(stamps_us: Sequence[int], cents: Sequence[int] | int = 500, account: str = "a", category: str = "c") -> World:
    """One account's transactions at moments after a midnight."""
    amounts = [cents] * len(stamps_us) if isinstance(cents, int) else cents
    return tuple(
        Transaction(f"{account}{number:03}", account, category, START_US + stamp, amount)
        for number, (stamp, amount) in enumerate(zip(stamps_us, amounts, strict=True))
    )


def hourly(*cents: int, account: str = "a", category: str = "c") -> World:
    """One account's amounts, one an hour."""
    return at([number * HOUR_US for number in range(len(cents))], cents, account, category)


def daily(*counts: int, start_us: int = 0, gap_us: int = 120 * SECOND_US) -> World:
    """One account's days, each with as many transactions from its start on."""
    return at([day * DAY_US + start_us + n * gap_us for day, count in enumerate(counts) for n in range(count)])


def shops(count: int, cents: Sequence[int] = (100, 300)) -> World:
    """Accounts with a few transactions each, in one category."""
    return tuple(row for number in range(count) for row in hourly(*cents, account=f"s{number:02}"))


BOUNDARIES: dict[str, World] = {
    "ten in a minute": at(range(10)),
    "eleven in a minute": at(range(11)),
    "twelve in a minute": at(range(12)),
    "eleven with equal stamps": at([7] * 11),
    "the first exactly a window before the eleventh": at([0, *[WINDOW_US] * 10]),
    "the first a microsecond less than a window before": at([1, *[WINDOW_US] * 10]),
    "two bursts that touch in no transaction": at([*range(11), *range(WINDOW_US, WINDOW_US + 11)]),
    "two bursts that share one": at([*range(10), 59 * SECOND_US, *[118 * SECOND_US] * 10]),
    "a burst over midnight": at([DAY_US - 5 + n for n in range(11)]),
    "two accounts in the same minute": (*at(range(10)), *at(range(10), account="b")),
    "ten rows, nine others": hourly(*[100, 300] * 4, 100, 9_000),
    "eleven rows, ten others": hourly(*[100, 300] * 5, 9_000),
    "ten peers": (*shops(5), *hourly(9_000, account="x")),
    "nine peers": (*shops(4), *hourly(200, 9_000, account="x")),
    "peers in another category": (*shops(6), *hourly(9_000, account="x", category="d")),
    "own history, not the peers": (*shops(9, (1, 2)), *hourly(*[100, 101] * 5, 102)),
    "peers, some of them one's own": (*shops(4), *hourly(100, 300, 9_000, account="x")),
    "z of exactly three": hourly(*[99, 101] * 8, 100, 103),
    "z a little above three": hourly(*[99, 101] * 8, 100, 104),
    "twice the common amount": hourly(*[100] * 10, 200),
    "a cent more than twice": hourly(*[100] * 10, 201),
    "all equal": hourly(*[100] * 12),
    "all zero": hourly(*[0] * 12),
    "a cent among zeros": hourly(*[0] * 11, 1),
    "far below the others": hourly(*[10_000, 10_001] * 6, 0),
    "even number for the median": hourly(*range(100, 111), 1_000),
    "a median between two cents": hourly(*[100] * 6, *[101] * 5, 103),
    "mad of zero with three above": hourly(*[100] * 8, 500, 600, 700),
    "9,999.99": hourly(999_999),
    "10,000.00": hourly(1_000_000),
    "10,000.01": hourly(1_000_001),
    "a score between two millionths": hourly(24_600_000),
    "twelve digits": hourly(*[999_999_999_998] * 5, *[999_999_999_997] * 6, 999_999_999_999),
    "twelve digits among cents": hourly(*[1, 2] * 6, 999_999_999_999),
    "thirteen other days": daily(*[1] * 13, 10),
    "fourteen other days": daily(*[1] * 14, 10),
    "nine on the day": daily(*[1] * 14, 9),
    "twice the common count": daily(*[5] * 14, 10),
    "more than twice the common count": daily(*[5] * 14, 11),
    "days without transactions": daily(*[1, 0] * 7, 10),
    "the busy day first": daily(10, *[1] * 14),
    "a z of days below three": daily(*[1, 7] * 7, 11),
    "the last microseconds of a day": daily(*[1] * 14, 10, start_us=DAY_US - 10, gap_us=1),
    "ten that straddle midnight": daily(*[1] * 14, 10, start_us=DAY_US - 5, gap_us=1),
    "every rule at once": at([*[day * DAY_US for day in range(14)], *range(15 * DAY_US, 15 * DAY_US + 12)],
                             [*[500, 501] * 12, 500, 2_000_000]),
}  # fmt: skip
