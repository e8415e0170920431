"""docs/deployment/spark.md names the versions that are installed: a new pin turns this red."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pyspark

from lake.settings import PROJECT_ROOT
from spark.jars import delta_coordinates
from spark.java import MINIMUM_JAVA

PAGE = (PROJECT_ROOT / "docs" / "deployment" / "spark.md").read_text(encoding="utf-8")
JARS = Path(pyspark.__file__).parent / "jars"


def version_of_jar(prefix: str) -> str:
    (jar,) = JARS.glob(f"{prefix}-[0-9]*.jar")
    return jar.stem.removeprefix(f"{prefix}-")


def oldest_python() -> str:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["requires-python"]).removeprefix(">=")


def test_the_table_of_pins_is_that_of_the_installed_packages() -> None:
    rows = dict(re.findall(r"^\| ([A-Z][^|]+?) \| `([^`]+)`", PAGE, re.MULTILINE))
    assert rows == {
        "Spark, pyspark": importlib.metadata.version("pyspark"),
        "Scala": ".".join(version_of_jar("scala-library").split(".")[:2]),
        "Java": str(MINIMUM_JAVA),
        "Delta, as a Maven coordinate": delta_coordinates(),
        "Python of the driver": oldest_python(),
    }


def test_every_coordinate_is_of_the_pinned_delta_and_commands_use_the_pinned_one() -> None:
    coordinates = set(re.findall(r"io\.delta:[\w.:-]+", PAGE))
    delta = importlib.metadata.version("delta-spark")
    assert {c.rpartition(":")[2] for c in coordinates} == {delta}
    assert {c.split(":")[1].split("_")[1] for c in coordinates} == {"4.0", "4.1", "4.2"}
    assert set(re.findall(r"--packages (\S+)", PAGE)) == {delta_coordinates()}


def test_hadoop_is_the_one_that_pyspark_brings() -> None:
    assert f"which is `{version_of_jar('hadoop-client-api')}` in pyspark {pyspark.__version__}" in PAGE
