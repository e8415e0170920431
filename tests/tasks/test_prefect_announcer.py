"""What a layer's fate is announced as, and that nothing is announced of nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tasks.prefect_announcer as announcing
from lake.candidate import Balance, Candidate, Run
from lake.checks import CheckResult, GateResult, Outcome
from lake.publish import Published
from lake.table import Layer
from tasks.artifacts import check_lines

RUN = Run("r-1", datetime(2026, 1, 31, 8, tzinfo=UTC))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Events as they would be emitted."""
    events: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        announcing, "emit_event", lambda name, resource, payload: events.append((name, resource, payload))
    )
    return events


def candidate(quarantined: int) -> Candidate:
    return Candidate("silver.users", (), Balance(10, 10 - quarantined, 0, quarantined))


def test_quarantined_rows_are_told_before_their_layer(told: list[tuple[Any, ...]], tmp_path: Path) -> None:
    published = [Published("silver.users", 3, True), Published("silver.plans", 1, False)]
    announcing.PrefectAnnouncer(tmp_path).released(RUN, Layer.SILVER, published, {"silver.users": candidate(2)})
    assert [event[0] for event in told] == [announcing.ROWS_QUARANTINED, announcing.LAYER_PUBLISHED]
    assert told[0][2] == {"run_id": "r-1", "rows": {"silver.users": 2}}
    assert told[1][2] == {"run_id": "r-1", "versions": {"silver.users": 3}}
    assert told[1][1]["prefect.resource.id"] == "lakehouse.layer.silver"
    assert told[1][1]["lakehouse.lake"] == str(tmp_path)


def test_a_layer_in_which_nothing_changed_is_no_news(told: list[tuple[Any, ...]], tmp_path: Path) -> None:
    announcing.PrefectAnnouncer(tmp_path).released(RUN, Layer.GOLD, [Published("gold.revenue", 3, False)], {})
    assert told == []


def test_a_shut_gate_is_told_with_its_reasons(
    told: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(announcing, "show_checks", lambda gates, description: shown.append(description))
    gates = {
        "silver.users": GateResult("silver.users", "c", 1, (), ("row_count measured 0",)),
        "silver.plans": GateResult("silver.plans", "c", 1, (), ()),
    }
    announcing.PrefectAnnouncer(tmp_path).gate_shut(RUN, Layer.SILVER, gates)
    assert told[0][0] == announcing.GATE_FAILED
    assert told[0][2]["problems"] == {"silver.users": ["row_count measured 0"]}
    assert "silver gate is shut" in shown[0]


def test_checks_that_failed_come_first_with_rows_they_refuse() -> None:
    good = CheckResult("schema", "schema", None, Outcome.PASSED, "same", "same")
    bad = CheckResult(
        "valid", "invalid", "amount", Outcome.FAILED, "1", "0", ({"payment_id": "p1", "amount": "-5.00"},)
    )
    lines = [*check_lines([GateResult("silver.payments", "c", 1, (good, bad), ("…",))])]
    assert [line["check"] for line in lines] == ["valid", "schema"]
    assert lines[0]["failing rows"] == "payment_id=p1 amount=-5.00"
