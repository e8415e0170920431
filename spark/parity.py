"""Parity job: builds silver and gold from the compiled SQL on any Spark with Delta, and compares with a lake's gold.

Runs as it is, with nothing but pyspark and delta-spark beside it:

    spark-submit --packages io.delta:delta-spark_4.2_2.13:4.4.0 spark/parity.py \\
        --lake data/lake --scripts sql/compiled/spark

or as a Databricks task of type "Python script" with the same parameters. Ends with code 0 when every mart is equal,
1 when one differs. Floats are compared to nine digits, everything else exactly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FLOAT_DIGITS = 9
BRONZE, GOLD = "bronze", "gold"
_INCLUDE = "SOURCE "


def scripts_in_order(folder: Path) -> list[Path]:
    """The scripts that ``build.sql`` names, in its order."""
    lines = (folder / "build.sql").read_text(encoding="utf-8").splitlines()
    return [folder / line.removeprefix(_INCLUDE).rstrip(";") for line in lines if line.startswith(_INCLUDE)]


def statements(script: Path) -> Iterator[str]:
    """The statements of a compiled script; each ends with a semicolon at the end of a line."""
    for statement in script.read_text(encoding="utf-8").split(";\n"):
        if statement.strip():
            yield statement


def build(spark: SparkSession, lake: str, folder: Path) -> list[str]:
    """Register the lake's bronze tables and run every script.

    Args:
        spark: A session with Delta.
        lake: Root of the lake: a path, s3:// or abfss://.
        folder: Compiled scripts for Spark.

    Returns:
        Names of the marts.
    """
    marts = []
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {BRONZE}")
    for script in scripts_in_order(folder):
        if script.parent == folder:
            for statement in statements(script):
                _register(spark, lake, statement)
            continue
        for statement in statements(script):
            spark.sql(statement)
        if script.parent.name == GOLD:
            marts.append(script.stem)
    return marts


def _register(spark: SparkSession, lake: str, statement: str) -> None:
    """Make a bronze table of the lake readable by name; one that nothing has landed in is created empty, elsewhere.

    A table created at a place without one would be written there, without columns, into the lake itself.
    """
    from delta.tables import DeltaTable

    start = "CREATE TABLE IF NOT EXISTS "
    if start not in statement:
        spark.sql(statement)
        return
    table = statement.partition(start)[2].split(" (")[0].replace("`", "")
    location = f"{lake.rstrip('/')}/{table.replace('.', '/')}"
    there = DeltaTable.isDeltaTable(spark, location)
    spark.sql(f"{start}{table} USING DELTA LOCATION '{location}'" if there else statement)


def rows_that_differ(built: DataFrame, published: DataFrame) -> int:
    """Rows that only one of two data frames has."""
    from pyspark.sql import functions as f

    def rounded(frame: DataFrame) -> DataFrame:
        columns = [f.round(c, FLOAT_DIGITS).alias(c) if kind == "double" else f.col(c) for c, kind in built.dtypes]
        return frame.select(*columns)

    ours, theirs = rounded(built), rounded(published)
    return int(ours.exceptAll(theirs).count() + theirs.exceptAll(ours).count())


def main(arguments: Sequence[str]) -> int:
    """Build, compare and print a line for each mart."""
    from pyspark.sql import SparkSession

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", required=True, help="root of the lake: a path, s3:// or abfss://")
    parser.add_argument("--scripts", required=True, type=Path, help="compiled scripts, such as sql/compiled/spark")
    chosen = parser.parse_args(arguments)
    lake = chosen.lake if "://" in chosen.lake else str(Path(chosen.lake).resolve())
    spark = (
        SparkSession.builder.appName("lakehouse parity")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    worst = 0
    for mart in build(spark, lake, chosen.scripts):
        built = spark.table(f"{GOLD}.{mart}")
        differing = rows_that_differ(built, spark.read.format("delta").load(f"{lake}/{GOLD}/{mart}"))
        worst = max(worst, differing)
        sys.stdout.write(f"{mart}: {built.count()} rows, {differing} differ\n")
    spark.stop()
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
