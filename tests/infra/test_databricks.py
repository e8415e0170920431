"""The Databricks bundle is valid, and a broken copy of it is reported by the same function."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from infra.validate import INFRA
from infra.validators import databricks
from lake.settings import PROJECT_ROOT
from spark.detect_anomalies import parse

BUNDLE = INFRA / "databricks" / "databricks.yml"
CARRIED = ("lake", "spark", "soda/contracts", "sql/compiled/spark")


def test_the_bundle_is_valid() -> None:
    assert databricks.problems(BUNDLE) == []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the bundle carries, with the bundle at its place."""
    for folder in CARRIED:
        shutil.copytree(PROJECT_ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(BUNDLE.parent, tmp_path / "infra" / "databricks")
    return tmp_path


BROKEN = {
    "unknown key of the bundle": ("targets:\n", "target:\n", "target: Extra inputs are not permitted"),
    "unknown key of a job": ("max_concurrent_runs", "max_concurent_runs", "Unexpected field 'max_concurent_runs'"),
    "unknown key of a cluster": ("num_workers", "number_of_workers", "Unexpected field 'number_of_workers'"),
    "wrong type": ("timeout_seconds: 7200", "timeout_seconds: soon", "invalid literal for int"),
    "a text for a list": ('on_failure: ["${var.people}"]', "on_failure: me", "Unexpected type"),
    "missing required": ("        timezone_id: UTC\n", "", "timezone_id"),
    "level that is none": ("CAN_MANAGE_RUN", "CAN_RUN", "CAN_RUN"),
    "rule that is none": ("RUN_DURATION_SECONDS", "RUN_DURATION", "RUN_DURATION"),
    "undeclared variable": ("${var.mirror}", "${var.miror}", "${var.miror} is not declared"),
    "unused variable": ("${var.catalog}", "main", "variables.catalog: is declared and never used"),
    "cluster that is not declared": (
        "- job_cluster_key: detection", "- job_cluster_key: other", "cluster 'detection' is not declared"
    ),
    "file that is not there": ("spark/detect_anomalies.py", "spark/detect.py", "../../spark/detect.py is not there"),
    "folder that is not there": ("- ../../soda/contracts", "- ../../soda/contract", "soda/contract is not there"),
    "folder that is not carried": ("    - ../../sql/compiled/spark\n", "", "sql/compiled/spark is not carried"),
    "misspelt argument": ("- --input\n", "- --inputs\n", "the script has no argument --inputs"),
    "missing argument": ("              - --lake\n              - ${var.lake_copy}\n", "", "--lake is required"),
    "argument without a value": ("              - ${var.output}\n", "", "--output needs a value"),
    "target's variable": ("      max_workers: 8", "      workers: 8", "workers is no variable"),
    "mode that is none": ("mode: production", "mode: productive", "targets.prod.mode"),
    "no default target": ("    default: true\n", "", "exactly one has to be the default"),
    "not YAML": ("bundle:\n", "bundle: {\n", "not valid YAML"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_bundle_is_reported(case: str, project: Path) -> None:
    old, new, expected = BROKEN[case]
    copy = project / "infra" / "databricks" / "databricks.yml"
    text = copy.read_text()
    assert old in text
    copy.write_text(text.replace(old, new))
    told = databricks.problems(copy)
    assert any(expected in problem for problem in told), told


def test_the_script_itself_takes_the_arguments_of_its_task(tmp_path: Path) -> None:
    task = yaml.safe_load(BUNDLE.read_text())["resources"]["jobs"]["detect_anomalies"]["tasks"][0]
    written = task["spark_python_task"]["parameters"]
    words = [re.sub(r"\$\{[^}]*\}", "abfss://mirror@a.dfs.core.windows.net", word) for word in written]
    job = parse(words)
    assert job.source.path == "abfss://mirror@a.dfs.core.windows.net/silver/transactions"
    assert job.contracts is not None


def test_the_library_is_the_one_of_the_lock() -> None:
    assert f"soda-sparkdf=={version('soda-sparkdf')}" in BUNDLE.read_text()


def test_every_schedule_waits_for_somebody_to_switch_it_on() -> None:
    content = yaml.safe_load(BUNDLE.read_text())
    assert content["variables"]["schedule"]["default"] == "PAUSED"
    schedules = [job["schedule"] for job in content["resources"]["jobs"].values() if "schedule" in job]
    assert [s["pause_status"] for s in schedules] == ["${var.schedule}"]
