"""One engine's job twice in one session, so that the second run tells what is left without the start.

    python -m bench.detect.warm textbook|spark|connect|sail TABLE SCRATCH

Delta in, Delta out. Prints the seconds of both runs as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bench.detect import textbook
from lake.configuration import load_settings
from lake.rules import AnomalyRules
from lake.settings import DetectEngineName
from spark.detection import Stamp, store_tables
from tasks.detect import detection_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

RUNS = 2


def main(job: str, table: str, scratch: Path) -> None:
    engine = cast(DetectEngineName, "spark" if job == "textbook" else job)
    run = _textbook if job == "textbook" else _ours
    with detection_session(load_settings(None, {}), engine, scratch) as session:
        seconds = [_timed(lambda: run(session, table, scratch)) for _ in range(RUNS)]
    json.dump({"cold_s": round(seconds[0], 2), "warm_s": round(seconds[-1], 2)}, sys.stdout)


def _timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _textbook(session: SparkSession, table: str, scratch: Path) -> None:
    textbook.write_all(session, table, str(scratch / "textbook"))


def _ours(session: SparkSession, table: str, scratch: Path) -> None:
    def keep(frame: DataFrame, name: str) -> DataFrame:
        place = str(scratch / "profiles" / name)
        frame.write.mode("overwrite").parquet(place)
        return session.read.parquet(place)

    def store(frame: DataFrame, name: str) -> DataFrame:
        place = str(scratch / "gold" / name)
        frame.write.format("delta").mode("overwrite").save(place)
        return session.read.format("delta").load(place)

    stamp = Stamp(datetime.now(UTC), "bench", 0)
    store_tables(session.read.format("delta").load(table), AnomalyRules(), stamp, keep, store)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
