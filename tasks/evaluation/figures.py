"""What an evaluation says: counts, ratios with their intervals, and what became of each kind of injection."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# The line that counts a transaction once, whichever rule it fired or was injected for.
ANY_RULE = "any"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval.

    Args:
        value: The figure; None where it is undefined, such as the precision of a rule that flagged nothing.
        low: 2.5 % quantile of the replicates in which it is defined; None when it is in none.
        high: 97.5 % quantile of them; None when it is in none.
    """

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """One rule against the truth; every count is one of transactions.

    Args:
        rule: Name of the rule, or `any`.
        flagged: Fired the rule.
        injected: Were injected to fire it.
        true_positives: Both.
        false_alarms: Fired it and were not injected for it.
        injected_otherwise: The part of `false_alarms` that was injected for another rule.
        missed: Were injected for it and did not fire it.
        precision: true_positives / flagged.
        recall: true_positives / injected.
        alerts_per_day: flagged / days of the transactions.
        value_weighted_recall: Sum of the amounts of true positives / sum of the amounts injected.
    """

    rule: str
    flagged: int
    injected: int
    true_positives: int
    false_alarms: int
    injected_otherwise: int
    missed: int
    precision: Estimate
    recall: Estimate
    alerts_per_day: Estimate
    value_weighted_recall: Estimate


@dataclass(frozen=True, slots=True)
class KindFigures:
    """One kind of injection (`why` of the truth) for one rule: transactions injected, and those that fired the rule."""

    rule: str
    why: str
    injected: int
    found: int


@dataclass(frozen=True, slots=True)
class DecoyFigures:
    """One kind of decoy: transactions placed just inside a boundary, and those that fired any rule."""

    why: str
    decoys: int
    flagged: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The rules against the truth.

    Args:
        transactions: Transactions judged.
        accounts: Accounts they belong to; what the bootstrap resamples.
        days: Days from the first transaction's to the last one's, UTC, both included.
        replicates: Bootstrap replicates behind the intervals.
        seed: Seed of the bootstrap.
        not_landed: Transactions of the truth that are not among those judged; they are in no other figure.
        rules: One for each rule, then `any`.
        kinds: One for each rule and kind of injection.
        decoys: One for each kind of decoy.
    """

    transactions: int
    accounts: int
    days: int
    replicates: int
    seed: int
    not_landed: int
    rules: tuple[RuleFigures, ...]
    kinds: tuple[KindFigures, ...]
    decoys: tuple[DecoyFigures, ...]

    @property
    def decoys_flagged(self) -> int:
        return sum(kind.flagged for kind in self.decoys)

    def of(self, rule: str) -> RuleFigures:
        """Figures of a rule, or of `any`.

        Raises:
            KeyError: There is no such rule.
        """
        for figures in self.rules:
            if figures.rule == rule:
                return figures
        raise KeyError(rule)


def to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as nested dictionaries and lists of numbers and text, as JSON has them."""
    plain = asdict(evaluation)
    return plain | {"decoys_flagged": evaluation.decoys_flagged} | {k: list(plain[k]) for k in _SEQUENCES}


_SEQUENCES = ("rules", "kinds", "decoys")
