"""Engines that detection runs on, each started once a file, and the job as a function of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from lake.rules import AnomalyRules
from spark.session import sail_session, spark_session
from tests.spark.oracle import Transaction
from tests.spark.worlds import as_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ENGINES = ("sail", pytest.param("spark", marks=pytest.mark.spark))
Row = dict[str, Any]
Detect = Callable[..., dict[str, Row]]


class Sessions:
    """One session at a time: pyspark's functions are remote or classic for the whole process."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._opened, self._engine = ExitStack(), ""
        self._session: SparkSession | None = None

    def of(self, engine: str) -> SparkSession:
        """The engine's session; another engine's is closed."""
        if self._session is None or engine != self._engine:
            self.close()
            opening = sail_session() if engine == "sail" else spark_session(self._scratch / engine)
            self._session, self._engine = self._opened.enter_context(opening), engine
        return self._session

    def close(self) -> None:
        self._opened.close()
        self._session = None


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    opened = Sessions(tmp_path_factory.mktemp("sessions"))
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn; all tests of one before those of the next."""
    return str(request.param)


@pytest.fixture
def session(engine: str, sessions: Sessions) -> SparkSession:
    return sessions.of(engine)


@pytest.fixture
def sail(sessions: Sessions) -> SparkSession:
    return sessions.of("sail")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "transactions.parquet"


@pytest.fixture
def detected(session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Detect:
    """What detection says of rows, by transaction: ``detected(rows, rules, partitions=None)``."""
    from spark.detection import detect

    directory, numbers = tmp_path_factory.mktemp("transactions"), count()

    def detected(rows: Sequence[Transaction], rules: AnomalyRules, partitions: int | None = None) -> dict[str, Row]:
        file = directory / f"{next(numbers)}.parquet"
        pq.write_table(as_table(rows), file)
        frame = session.read.parquet(str(file))
        if partitions is not None:
            frame = frame.repartition(partitions)
        found = detect(frame, rules).toArrow().to_pylist()
        by_key = {row["transaction_id"]: row for row in found}
        assert len(by_key) == len(found), "a transaction came out twice"
        return by_key

    return detected


# Both methods and both sets of thresholds, each once.
ON_SPARK = {"default-z", "changed-mad"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Judge the random worlds on Apache Spark under two of the four rule sets unless told otherwise; Sail takes all."""
    if config.getoption("--every-case-on-spark"):
        return
    worlds_on_spark = "test_job_and_oracle_agree_row_for_row_on_random_worlds[spark-"
    items[:] = [
        item
        for item in items
        if not item.name.startswith(worlds_on_spark) or item.name.removeprefix(worlds_on_spark).rstrip("]") in ON_SPARK
    ]
