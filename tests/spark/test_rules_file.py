"""Thresholds of the job's JSON file: those of the platform's settings are allowed, and nothing else."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from lake.errors import ConfigurationError
from lake.settings import DetectSettings
from spark.job.rules_file import RANGES, read_rules


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('{"velocity_cout": 3}', "no such threshold → known: velocity_count"),
        ('{"amount_method": "mean"}', "'mean' is no method → z, or mad"),
        ('{"velocity_count": true}', "True is impossible → a number from 1 to 10000"),
        ('{"velocity_count": 2.5}', "2.5 is impossible"),
        ('{"z_threshold": NaN}', "nan is impossible"),
        ('{"very_high_amount": "12.345"}', "12.345 is impossible → .*at most 2 digits"),
        ('{"min_history": [5]}', "impossible"),
        ("[1]", "expected names and values"),
        ("{", "not JSON"),
    ],
)
def test_an_impossible_threshold_is_refused_with_what_is_possible(tmp_path: Path, written: str, told: str) -> None:
    (tmp_path / "rules.json").write_text(written)
    with pytest.raises(ConfigurationError, match=told):
        read_rules(tmp_path / "rules.json")


@pytest.mark.parametrize("name", RANGES)
def test_the_file_allows_what_the_settings_allow(tmp_path: Path, name: str) -> None:
    def by_file(value: Decimal) -> bool:
        (tmp_path / "rules.json").write_text(json.dumps({name: str(value)}))
        try:
            read_rules(tmp_path / "rules.json")
        except ConfigurationError:
            return False
        return True

    def by_settings(value: Decimal) -> bool:
        try:
            DetectSettings.model_validate({name: value})
        except ValidationError:
            return False
        return True

    # Thresholds that are floats are compared in steps that a float of their size can make.
    limits = RANGES[name]
    step = Decimal(1).scaleb(-min(limits.digits, 4))
    least, most = Decimal(limits.least), Decimal(limits.most)
    tried = [least - 1, least, least + step, least + step / 2, most, most + step]
    answers = [by_file(value) for value in tried]
    assert answers == [by_settings(value) for value in tried]
    assert {True, False} == set(answers)
