"""The outcome of a contract on a candidate, as stored, exported and shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """Soda's outcomes of one check; a gate opens on PASSED and WARN only."""

    PASSED = "PASSED"
    WARN = "WARN"
    FAILED = "FAILED"
    NOT_EVALUATED = "NOT_EVALUATED"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One evaluated check.

    Args:
        name: Unique inside the contract, such as ``amount: invalid``.
        type: Soda's check type, such as ``missing``.
        column: Column it looks at; None for the whole table.
        outcome: What came out.
        measured: Value measured, as text.
        threshold: What it had to be, in words.
        samples: Up to `gates.sample_rows` failing rows, values as text.
    """

    name: str
    type: str
    column: str | None
    outcome: Outcome
    measured: str | None = None
    threshold: str | None = None
    samples: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class GateResult:
    """A contract's outcome on one candidate.

    Args:
        table: Full name of the candidate's table.
        contract_hash: SHA-256 of the contract file's bytes.
        rows_tested: Rows the contract ran on.
        checks: Every declared check.
        problems: Why the gate stays shut, one sentence each; empty when it opens.
    """

    table: str
    contract_hash: str
    rows_tested: int
    checks: tuple[CheckResult, ...]
    problems: tuple[str, ...] = field(default=())

    @property
    def outcome(self) -> Outcome:
        if self.problems:
            return Outcome.FAILED
        return Outcome.WARN if any(c.outcome is Outcome.WARN for c in self.checks) else Outcome.PASSED

    @property
    def opens(self) -> bool:
        return not self.problems
