"""The oracle on histories judged by hand: an oracle that is wrong would make the job look right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from lake.rules import AmountMethod, AnomalyRules
from tests.spark.oracle import Transaction, judge

DEFAULT = AnomalyRules()
MAD = AnomalyRules(amount_method=AmountMethod.MAD)
SECOND_US, DAY_US = 1_000_000, 86_400_000_000


def history(*at_us: int, cents: Sequence[int] | int = 100, account: str = "a") -> list[Transaction]:
    amounts = [cents] * len(at_us) if isinstance(cents, int) else cents
    return [
        Transaction(f"{account}{number:03}", account, "c", at, amount)
        for number, (at, amount) in enumerate(zip(at_us, amounts, strict=True))
    ]


def amounts(*cents: int, account: str = "a") -> list[Transaction]:
    """One an hour, as many to a day as keep the days quiet."""
    return history(*(number * 3_600 * SECOND_US for number in range(len(cents))), cents=cents, account=account)


def test_ten_in_a_minute_are_nothing_and_eleven_a_burst_whose_last_fires() -> None:
    assert judge(history(*range(10)), DEFAULT) == {}
    verdicts = judge(history(*range(11)), DEFAULT)
    assert len(verdicts) == 11
    assert {v.burst_id for v in verdicts.values()} == {"a000"}
    assert [v.window_count for _, v in sorted(verdicts.items())] == list(range(1, 12))
    assert [v.rules for _, v in sorted(verdicts.items())] == [()] * 10 + [("velocity",)]
    assert [verdicts[key].columns()["score"] for key in ("a009", "a010")] == [0, 0.5]


def test_one_exactly_a_window_earlier_is_outside_and_a_microsecond_later_inside() -> None:
    late = [60 * SECOND_US] * 10
    assert judge(history(0, *late), DEFAULT) == {}
    assert len(judge(history(1, *late), DEFAULT)) == 11


def test_equal_stamps_stand_in_order_of_the_bytes_of_their_ids() -> None:
    ids = ["Z", "a", "é", "\uff41", "𝄞", "b", "10", "9", "B", "aa", "ab"]
    same = [Transaction(key, "a", "c", 5, 100) for key in ids]
    verdicts = judge(same, DEFAULT)
    assert [key for key, v in verdicts.items() if v.rules] == ["𝄞"]
    assert {v.burst_id for v in verdicts.values()} == {"10"}


def test_windows_that_share_a_transaction_are_one_burst_and_those_that_do_not_are_two() -> None:
    gap = 61 * SECOND_US
    both = judge(history(*range(11), *range(gap, gap + 11)), DEFAULT)
    assert {v.burst_id for v in both.values()} == {"a000", "a011"}
    # The last of the first eleven is the first of ten more: its window and theirs share it.
    chained = judge(history(*range(10), 59 * SECOND_US, *[118 * SECOND_US] * 10), DEFAULT)
    assert {v.burst_id for v in chained.values()} == {"a000"}
    assert sorted(key for key, v in chained.items() if v.rules) == ["a010", "a020"]


def test_an_amount_is_compared_with_the_others_of_its_account_when_there_are_ten() -> None:
    finding = judge(amounts(*[100, 300] * 5, 1_000), DEFAULT)["a010"].amount
    assert finding is not None
    # Others: mean 2.00, deviations of 1.00 ten times, so s = √(10/9).
    assert (finding.basis, finding.center) == ("account", Fraction(2))
    assert finding.spread == pytest.approx(1.0540925533894598, rel=1e-15)
    assert finding.z == Fraction("7.589466384")


def test_with_fewer_others_an_amount_is_compared_with_its_peers_or_not_at_all() -> None:
    short = [*amounts(100, 300, account="a"), *amounts(100, 300, 900, account="b")]
    assert judge(short, DEFAULT) == {}
    peers = [*short, *(replace(t, account_id=f"{t.account_id}{n}", transaction_id=f"{t.transaction_id}{n}")
                       for n in range(4) for t in amounts(100, 300))]  # fmt: skip
    assert {key: v.amount and v.amount.basis for key, v in judge(peers, DEFAULT).items()} == {"b002": "peers"}


def test_a_z_of_exactly_the_threshold_does_not_fire() -> None:
    # Seventeen others, sixteen of them a cent from their mean: s = √(16/16), so 3 cents more are a z of exactly 3.
    others = [99, 101] * 8 + [100]
    assert judge(amounts(*others, 103), DEFAULT) == {}
    assert list(judge(amounts(*others, 104), DEFAULT)) == ["a017"]


def test_equal_others_let_more_than_twice_their_amount_fire() -> None:
    assert judge(amounts(*[100] * 10, 200), DEFAULT) == {}
    verdict = judge(amounts(*[100] * 10, 201), DEFAULT)["a010"]
    assert verdict.amount is not None
    assert (verdict.amount.z, verdict.amount.spread, verdict.amount.severity) == (None, 0, Fraction(201, 200))


def test_a_ratio_is_the_decimal_that_was_written() -> None:
    rules = replace(DEFAULT, zero_spread_ratio=Decimal("1.15"))
    assert judge(amounts(*[100] * 10, 115), rules) == {}
    assert list(judge(amounts(*[100] * 10, 116), rules)) == ["a010"]


@pytest.mark.parametrize("rules", [DEFAULT, MAD])
def test_where_all_others_are_zero_any_amount_fires_the_harder_the_larger(rules: AnomalyRules) -> None:
    assert judge(amounts(*[0] * 11), rules) == {}
    verdict = judge(amounts(*[0] * 10, 50), rules)["a010"]
    assert verdict.amount is not None
    assert (verdict.amount.severity, verdict.columns()["score"]) == (Fraction(3, 2), 0.6)


def test_mad_takes_the_mean_of_the_middle_two_and_the_row_itself_in() -> None:
    finding = judge(amounts(100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 1_000), MAD)["a011"].amount
    assert finding is not None
    # Median of twelve: 105.5 cents; distances .5 .5 1.5 1.5 2.5 2.5 3.5 3.5 4.5 4.5 5.5 894.5, so MAD 3.0 cents.
    assert (finding.center, finding.spread) == (Fraction("1.055"), 0.03)
    assert finding.z == Fraction("201.113416667")


def test_a_mad_of_zero_compares_with_the_median() -> None:
    cents = [100] * 8 + [500, 600, 700]
    assert {key: v.amount and v.amount.z for key, v in judge(amounts(*cents), MAD).items()} == dict.fromkeys(
        ["a008", "a009", "a010"]
    )


def test_ten_thousand_is_not_very_high_and_a_cent_more_is() -> None:
    assert judge(amounts(1_000_000), DEFAULT) == {}
    verdict = judge(amounts(1_000_001), DEFAULT)["a000"]
    assert verdict.rules == ("very_high_amount",)
    assert verdict.score == 1 - 1 / (1 + Fraction(1_000_001, 1_000_000))


def test_a_busy_day_fires_with_all_its_transactions_when_there_are_fourteen_other_days() -> None:
    def days(counts: Sequence[int]) -> list[Transaction]:
        minutes = [120 * SECOND_US * number for number in range(max(counts))]
        return history(*(day * DAY_US + minute for day, count in enumerate(counts) for minute in minutes[:count]))

    assert judge(days([1] * 13 + [10]), DEFAULT) == {}
    assert judge(days([1] * 14 + [9]), DEFAULT) == {}
    equal = judge(days([1] * 14 + [10]), DEFAULT)
    assert len(equal) == 10
    day = equal["a014"].day
    assert day is not None
    assert (day.count, day.mean, day.z, day.severity) == (10, Fraction(1), None, Fraction(5))
    # Days without transactions count zero: seven of one, seven of none, mean 1/2, s = √(7/26), z = 9.5 / s.
    gaps = judge(days([1, 0] * 7 + [10]), DEFAULT)["a007"].day
    assert gaps is not None
    assert (gaps.mean, gaps.z) == (Fraction(1, 2), Fraction("18.308858122"))


def test_midnight_utc_parts_two_days() -> None:
    quiet = [day * DAY_US for day in range(14)]
    evening = [20 * DAY_US - 1 - number * 60 * SECOND_US for number in range(9)]
    assert judge(history(*quiet, *sorted(evening), 20 * DAY_US), DEFAULT) == {}
    assert len(judge(history(*quiet, *sorted([*evening, 20 * DAY_US - 2])), DEFAULT)) == 10


def test_several_rules_multiply_into_one_score() -> None:
    verdict = judge(amounts(*[100] * 10, 2_000_000), replace(DEFAULT, very_high_amount=Decimal("10000.00")))["a010"]
    assert verdict.rules == ("high_amount", "very_high_amount")
    assert verdict.score == 1 - Fraction(1, 1 + 10_000) * Fraction(1, 3)
