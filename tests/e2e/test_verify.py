"""`sql verify` over all engines: the rows of every model are equal, and are those that its certificates say."""

from __future__ import annotations

import json

import pytest

from lake.settings import PROJECT_ROOT
from sql.model import load_models
from tasks.certify import ENGINES_OF, certificate_path, script_hash
from tests.e2e.conftest import Cli

pytestmark = pytest.mark.e2e
MODELS = load_models(PROJECT_ROOT / "sql" / "models")
RENEW = "renew the certificates as CONTRIBUTING.md says"


@pytest.mark.spark
@pytest.mark.timeout(900)
def test_the_matrix_is_green_and_is_what_the_certificates_say(
    empty: Cli, emulator: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = ("sqlite", "sail", "spark", "snowflake")
    monkeypatch.setattr("tests.e2e.conftest.RUN_TIMEOUT_S", 800)
    empty.settings |= emulator
    verdicts = empty.json("sql", "verify", *(word for engine in engines for word in ("--engine", engine)))
    assert [v for v in verdicts if v["fate"] != "equal"] == []
    assert len(verdicts) == len(MODELS) * 2 * (1 + len(engines))
    found = {(v["model"], v["engine"], v["source"]): (v["rows"], v["sha256"]) for v in verdicts}
    for target, run_by in ENGINES_OF.items():
        for name, model in MODELS.items():
            path = certificate_path(target, name)
            certificate = json.loads(path.read_text())
            assert certificate["model_sha256"] == model.sha256, f"{name}: {RENEW}"
            assert certificate["script_sha256"] == script_hash(path), f"{name}: {RENEW}"
            certified = {(name, r["engine"], r["input"]): (r["rows"], r["sha256"]) for r in certificate["results"]}
            assert {key[1] for key in certified} == {"duckdb", *run_by}
            assert certified == {key: found[key] for key in certified}, f"{name}: {RENEW}"
