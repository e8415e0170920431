"""What a reader of one format hands on: judged rows, and how each looked when it came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from api.rows.validation import Checked

# Payloads of the rows at some positions, as text.
Payloads = Callable[[Sequence[int]], list[str]]


@dataclass(frozen=True, slots=True)
class Received:
    """All rows of one body.

    Args:
        count: Rows in the body, good and bad.
        checked: The rows told apart; positions are those in the body, from 0.
        payloads: Gives rows as they came.
    """

    count: int
    checked: Checked
    payloads: Payloads


def visible(text: str) -> str:
    """Text that any table and log can hold: NUL is written out."""
    return text.replace("\0", "\\0")
