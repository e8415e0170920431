"""The jars of delta-spark: fetched from Maven once, then named to every session as files.

Ivy, which Spark would ask at each start, takes eight seconds even when all jars are there, and two that fetch into one
folder at the same time break each other's files.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import tempfile
from pathlib import Path

from lake.errors import MissingToolError
from spark.installation import spark_environment, spark_submit

# What the others bring, Spark has in versions of its own.
_GROUPS = ("io.delta", "io.unitycatalog")
_FETCH_TIMEOUT_S = 600


def delta_jars() -> dict[str, str]:
    """Settings that put delta-spark on the class path.

    Raises:
        MissingToolError: The jars are not on this machine and Maven did not give them.
    """
    place = _cache() / delta_coordinates().replace(":", "_")
    if not place.exists():
        _fetch(place)
    return {"spark.jars": ",".join(str(jar) for group in _GROUPS for jar in sorted(place.glob(f"{group}_*.jar")))}


def delta_coordinates() -> str:
    """Maven coordinates of the delta-spark that fits the installed pyspark."""
    spark = ".".join(importlib.metadata.version("pyspark").split(".")[:2])
    return f"io.delta:delta-spark_{spark}_2.13:{importlib.metadata.version('delta-spark')}"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lakehouse" / "jars"


def _fetch(place: Path) -> None:
    """Fetch aside and rename, so that a place that is there is whole; who comes second keeps the first one's."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="fetching-") as aside:
        told = _resolve(Path(aside))
        fetched = Path(aside) / "jars"
        if not any(fetched.glob("io.delta_*.jar")):
            raise MissingToolError(
                f"delta-spark's jars did not come: {told}",
                where=delta_coordinates(),
                mend="reach Maven Central once, or name a mirror: spark.jars.ivySettings in spark-defaults.conf",
            )
        try:
            fetched.rename(place)
        except OSError:
            if not place.exists():
                raise


def _resolve(ivy: Path) -> str:
    """Let Spark resolve the coordinates for a script that does nothing; the last line it told."""
    script = ivy / "nothing.py"
    script.touch()
    command = [spark_submit(), "--master", "local", "--packages", delta_coordinates()]
    try:
        done = subprocess.run(
            [*command, "--conf", f"spark.jars.ivy={ivy}", str(script)], env=spark_environment(),
            capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"Maven took longer than {_FETCH_TIMEOUT_S} s"
    told = [line for line in (done.stdout + done.stderr).splitlines() if line and not line.startswith("\t")]
    return told[-1] if told else f"spark-submit ended with {done.returncode}"
