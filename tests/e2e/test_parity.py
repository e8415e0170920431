"""The parity job, as spark-submit runs it: the compiled SQL makes the lake's own marts on Spark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lake.tables import MARTS
from spark.installation import spark_environment, spark_submit
from spark.jars import delta_jars
from tests.e2e.conftest import PROJECT, Cli

pytestmark = [pytest.mark.e2e, pytest.mark.spark, pytest.mark.timeout(600)]


def test_spark_submit_builds_the_marts_and_finds_them_equal(built: Cli, tmp_path: Path) -> None:
    settings = {
        **delta_jars(), "spark.master": "local[2]", "spark.sql.shuffle.partitions": "2", "spark.ui.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": "2", "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }  # fmt: skip
    command = [spark_submit(), *(w for k, v in settings.items() for w in ("--conf", f"{k}={v}"))]
    scripts = ["--lake", str(built.folder / "data/lake"), "--scripts", str(PROJECT / "sql/compiled/spark")]
    done = subprocess.run(
        [*command, str(PROJECT / "spark/parity.py"), *scripts],
        cwd=tmp_path, env={**spark_environment(), "PYSPARK_PYTHON": sys.executable},
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.endswith(" 0 differ")]
    assert {line.partition(":")[0] for line in lines} == {table.name for table in MARTS}
