"""Idempotency keys in the window with their answers, and bodies whose refused rows are in quarantine."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

# A key takes some 400 bytes with its answer.
_MAX_KEYS = 500_000


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What the first request with a key was answered.

    Args:
        digest: Of its body.
        version: Version that holds its rows; None when none of them was ever committed.
        committed: Rows it added.
        duplicates: Rows that were there already.
        quarantined: Rows in quarantine.
        conflicts: Positions of rows whose id was there with other values.
    """

    digest: str
    version: int | None
    committed: int
    duplicates: int = 0
    quarantined: int = 0
    conflicts: tuple[int, ...] = ()


class KeysSeen:
    """Answers by digest of API key and Idempotency-Key; the oldest are forgotten first.

    Args:
        window_s: Longest time to remember, seconds.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._answers: OrderedDict[str, tuple[float, KeyAnswer]] = OrderedDict()
        self._quarantined: OrderedDict[str, float] = OrderedDict()

    def answer(self, idempotency: str) -> KeyAnswer | None:
        found = self._answers.get(idempotency)
        return found[1] if found else None

    def remember(self, idempotency: str, answer: KeyAnswer, moment: float) -> None:
        """Keep the first answer to a key; `moment` in seconds since the epoch."""
        self._answers.setdefault(idempotency, (moment, answer))
        while self._answers:
            oldest, (then, _) = next(iter(self._answers.items()))
            if len(self._answers) <= _MAX_KEYS and then >= moment - self._window_s:
                break
            del self._answers[oldest]

    def is_quarantined(self, digest: str) -> bool:
        """Whether the refused rows of a body are in quarantine."""
        return digest in self._quarantined

    def remember_quarantined(self, digest: str, moment: float) -> None:
        """Keep that the refused rows of a body are in quarantine since `moment`."""
        self._quarantined[digest] = moment
        while self._quarantined:
            oldest, then = next(iter(self._quarantined.items()))
            if len(self._quarantined) <= _MAX_KEYS and then >= moment - self._window_s:
                break
            del self._quarantined[oldest]
