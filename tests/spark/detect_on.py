"""Detection as a driver process of its own, since a process holds one Spark context: MASTER INPUT OUTPUT SCRATCH."""

from __future__ import annotations

import sys
from pathlib import Path

from lake.rules import AnomalyRules
from spark.detection import detect
from spark.session import spark_session

if __name__ == "__main__":
    master, source, target, scratch = sys.argv[1:]
    # More partitions than cores, so that there are tasks left to lose and to hand on.
    with spark_session(Path(scratch), memory_mb=1024, master=master, partitions=6) as session:
        transactions = session.read.format("delta").load(source).repartition(6)
        detect(transactions, AnomalyRules()).write.parquet(target)
