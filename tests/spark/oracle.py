"""Anomaly detection a second time, written from docs/detection.md alone: what the Spark job is held against.

Plain Python, loops over lists, whole numbers and fractions: a z becomes a float only after it was rounded exactly.
Shares no code with spark/detection; quadratic, for some thousand transactions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt, prod

from lake.rules import AmountMethod, AnomalyRules, Rule

_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US
_Z_DIGITS = 9
_SCORE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Transaction:
    """What detection looks at: `at_us` in microseconds since 1970, UTC; `cents` in hundredths of the currency."""

    transaction_id: str
    account_id: str
    category: str
    at_us: int
    cents: int


@dataclass(frozen=True, slots=True)
class AmountFinding:
    """`high_amount` fired: against whom, in units of the currency; `z` is None where the spread is zero."""

    basis: str
    center: Fraction
    spread: float
    z: Fraction | None
    severity: Fraction


@dataclass(frozen=True, slots=True)
class DayFinding:
    """`frequency` fired; `z` is None where all other days are equal."""

    count: int
    mean: Fraction
    z: Fraction | None
    severity: Fraction


@dataclass(slots=True)
class Verdict:
    """What is said of one transaction; `score` is exact, before its rounding to six digits."""

    rules: tuple[str, ...] = ()
    score: Fraction = Fraction(0)
    burst_id: str | None = None
    window_count: int | None = None
    amount: AmountFinding | None = None
    day: DayFinding | None = None

    def columns(self) -> dict[str, object]:
        """The columns of gold.transaction_anomalies that detection decides."""
        amount, day = self.amount, self.day
        return {
            "rules": list(self.rules),
            "score": float(_rounded(self.score, _SCORE_DIGITS)),
            "burst_id": self.burst_id,
            "window_count": self.window_count,
            "amount_basis": amount.basis if amount else None,
            "amount_center": float(amount.center) if amount else None,
            "amount_spread": amount.spread if amount else None,
            "amount_z": float(amount.z) if amount and amount.z is not None else None,
            "day_count": day.count if day else None,
            "day_mean": float(day.mean) if day else None,
            "day_z": float(day.z) if day and day.z is not None else None,
        }


def judge(transactions: Sequence[Transaction], rules: AnomalyRules) -> dict[str, Verdict]:
    """Verdicts by transaction, of those that fired a rule or belong to a burst."""
    verdicts: dict[str, Verdict] = defaultdict(Verdict)
    severities: dict[str, dict[Rule, Fraction]] = defaultdict(dict)
    by_category = _grouped((t.category, t) for t in transactions)
    categories = {name: [t.cents for t in group] for name, group in by_category.items()}
    limit = Fraction(rules.very_high_amount) * 100
    for account in _grouped((t.account_id, t) for t in transactions).values():
        ordered = sorted(account, key=lambda t: (t.at_us, t.transaction_id.encode()))
        keys, amounts = [t.transaction_id for t in ordered], [t.cents for t in ordered]
        counts = [_window_count(ordered, index, rules) for index in range(len(ordered))]
        days = _day_findings(ordered, rules)
        for key, transaction, count in zip(keys, ordered, counts, strict=True):
            if finding := _amount_finding(transaction.cents, amounts, categories[transaction.category], rules):
                verdicts[key].amount = finding
                severities[key][Rule.HIGH_AMOUNT] = finding.severity
            if transaction.cents > limit:
                severities[key][Rule.VERY_HIGH_AMOUNT] = transaction.cents / limit
            if _fires_velocity(count, rules):
                severities[key][Rule.VELOCITY] = Fraction(count, rules.velocity_count + 1)
            if day := days.get(transaction.at_us // _DAY_US):
                verdicts[key].day = day
                severities[key][Rule.FREQUENCY] = day.severity
        for first, last in _bursts(counts, rules):
            for index in range(first, last + 1):
                verdicts[keys[index]].burst_id, verdicts[keys[index]].window_count = keys[first], counts[index]
    for key, fired in severities.items():
        verdicts[key].rules = tuple(sorted(fired))
        verdicts[key].score = 1 - Fraction(prod(1 / (1 + severity) for severity in fired.values()))
    return dict(verdicts)


def _fires_velocity(window_count: int, rules: AnomalyRules) -> bool:
    """At least `velocity_count` earlier ones are in the window, which holds the transaction too."""
    return window_count > rules.velocity_count


def _window_count(ordered: Sequence[Transaction], index: int, rules: AnomalyRules) -> int:
    """Transactions at or before this one in order in (t - window, t]."""
    start = ordered[index].at_us - rules.velocity_window_s * _SECOND_US
    return sum(1 for earlier in ordered[: index + 1] if earlier.at_us > start)


def _bursts(window_counts: Sequence[int], rules: AnomalyRules) -> list[tuple[int, int]]:
    """First and last position of each burst: windows of firing transactions, joined where two share a transaction."""
    bursts: list[tuple[int, int]] = []
    for index, count in enumerate(window_counts):
        if _fires_velocity(count, rules):
            first = index - rules.velocity_count
            if bursts and bursts[-1][1] >= first:
                bursts[-1] = (bursts[-1][0], index)
            else:
                bursts.append((first, index))
    return bursts


def _amount_finding(
    cents: int, account: Sequence[int], category: Sequence[int], rules: AnomalyRules
) -> AmountFinding | None:
    """Both lists hold the transaction's own amount, once more than others do."""
    if len(account) - 1 >= rules.min_history:
        basis, amounts = "account", account
    elif len(category) - 1 >= rules.min_history:
        basis, amounts = "peers", category
    else:
        return None
    if rules.amount_method is AmountMethod.MAD:
        center = _median(Fraction(amount) for amount in amounts)
        spread = _median(abs(amount - center) for amount in amounts)
        z = _rounded(Fraction("0.6745") * (cents - center) / spread, _Z_DIGITS) if spread else None
        shown_spread, threshold = float(spread / 100), rules.mad_threshold
    else:
        others = list(amounts)
        others.remove(cents)
        center, variance = _mean(others), _sample_variance(others)
        z = _z(cents, center, variance) if variance else None
        shown_spread, threshold = float(_square_root(variance / 10_000, 15)), rules.z_threshold
    if z is not None:
        severity, fires = z / _written(threshold), z > _written(threshold)
    else:
        limit = Fraction(rules.zero_spread_ratio) * center
        severity, fires = cents / limit if center else 1 + Fraction(cents, 100), cents > limit
    return AmountFinding(basis, center / 100, shown_spread, z, severity) if fires else None


def _day_findings(ordered: Sequence[Transaction], rules: AnomalyRules) -> dict[int, DayFinding]:
    """Of an account's days, by their number since 1970, those that fire."""
    counted = Counter(t.at_us // _DAY_US for t in ordered)
    days = range(min(counted), max(counted) + 1)
    findings: dict[int, DayFinding] = {}
    if len(days) - 1 < rules.frequency_min_days:
        return findings
    for day, count in counted.items():
        if count < rules.frequency_min_count:
            continue
        others = [counted[other] for other in days if other != day]
        mean, variance = _mean(others), _sample_variance(others)
        if variance:
            z = _z(count, mean, variance)
            if z > _written(rules.frequency_z_threshold):
                findings[day] = DayFinding(count, mean, z, z / _written(rules.frequency_z_threshold))
        elif count > (limit := Fraction(rules.zero_spread_ratio) * mean):
            findings[day] = DayFinding(count, mean, None, count / limit if limit else Fraction(count))
    return findings


def _grouped(pairs: Iterable[tuple[str, Transaction]]) -> dict[str, list[Transaction]]:
    groups: dict[str, list[Transaction]] = defaultdict(list)
    for key, transaction in pairs:
        groups[key].append(transaction)
    return groups


def _written(threshold: float) -> Fraction:
    """A threshold as it stands in the configuration: 1.15 is 115 hundredths, which no double is."""
    return Fraction(repr(threshold))


def _mean(values: Sequence[int]) -> Fraction:
    return Fraction(sum(values), len(values))


def _sample_variance(values: Sequence[int]) -> Fraction:
    count, total = len(values), sum(values)
    return Fraction(sum((count * value - total) ** 2 for value in values), count**2 * (count - 1))


def _median(values: Iterable[Fraction]) -> Fraction:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _z(value: int, mean: Fraction, variance: Fraction) -> Fraction:
    """(value - mean) / √variance to nine digits behind the point."""
    size = _square_root((value - mean) ** 2 / variance, _Z_DIGITS)
    return size if value > mean else -size


def _square_root(square: Fraction, digits: int) -> Fraction:
    """√square rounded to `digits` behind the point, half up, in whole numbers only."""
    scale = 10**digits
    return Fraction((isqrt(int(4 * scale**2 * square)) + 1) // 2, scale)


def _rounded(value: Fraction, digits: int) -> Fraction:
    """Half away from zero."""
    scale = 10**digits
    size = int(abs(value) * scale + Fraction(1, 2))
    return Fraction(size if value > 0 else -size, scale)
