"""The installed pyspark as a program of its own: where it lies, and the environment its spark-submit runs in."""

from __future__ import annotations

import os
from pathlib import Path

# Left by an open Spark Connect session of this process; with them a Spark that is started becomes remote too.
CONNECT_VARIABLES = ("SPARK_CONNECT_MODE_ENABLED", "SPARK_REMOTE", "SPARK_LOCAL_REMOTE")


def spark_home() -> Path:
    """Folder of the installed pyspark, which holds Spark's jars and programs."""
    import pyspark

    return Path(pyspark.__file__).parent


def spark_submit() -> str:
    """Path of its spark-submit."""
    return str(spark_home() / "bin" / "spark-submit")


def spark_environment() -> dict[str, str]:
    """This process's variables for spark-submit, with its own home: without it another installation's Spark answers."""
    kept = {name: value for name, value in os.environ.items() if name not in CONNECT_VARIABLES}
    return {**kept, "SPARK_HOME": str(spark_home())}
