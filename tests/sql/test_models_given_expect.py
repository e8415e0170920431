"""The cases that lie beside the models, on every engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lake.settings import PROJECT_ROOT, EngineName
from lake.tables import MARTS
from sql.engines.engine import Engine
from sql.model import load_models
from sql.model_test import ModelTest, load_model_tests, run_model_test

MODELS = PROJECT_ROOT / "sql" / "models"
TESTS = load_model_tests(MODELS, load_models(MODELS))


@pytest.mark.parametrize("case", TESTS, ids=lambda test: f"{test.model.name}: {test.name}")
def test_a_model_yields_what_its_case_expects(
    engines: Mapping[EngineName, Engine],
    engine_name: EngineName,
    case: ModelTest,
    tmp_path: Path,
) -> None:
    differences = run_model_test(case, engines[engine_name], tmp_path)
    assert not differences, "\n".join((case.where, *differences))


def test_every_mart_has_cases() -> None:
    assert {t.full_name for t in MARTS} <= {case.model.name for case in TESTS}
