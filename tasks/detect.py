"""Detecting anomalies: the Spark job on silver.transactions, its tables as candidates for gold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from lake.candidate import Balance, Candidate
from lake.errors import BadInputError, LakehouseError, StorageError
from lake.gated import GatedVersion, last_gated
from lake.settings import PROJECT_ROOT, DetectEngineName, Settings
from lake.table import Layer
from lake.tables import ANOMALIES, SILVER_TRANSACTIONS
from spark.java import find_java
from tasks.contracts import contract_hash
from tasks.layers import Built, LayerResult, release_layer
from tasks.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_CODE = PROJECT_ROOT / "spark" / "detection"
# A few more than threads, so that a partition of many million rows is sorted in parts.
_PARTITIONS_PER_THREAD = 4


def chosen_engine(settings: Settings) -> DetectEngineName:
    """The configured engine; where none is, Spark with a Java that it can use, else Sail."""
    java = find_java()
    return settings.detect.engine or ("spark" if java is not None and java.is_new_enough else "sail")


def detect_layer(workspace: Workspace) -> LayerResult:
    """Judge the readable version of silver.transactions and publish the anomaly tables, all or none.

    Nothing is computed when they are those of the same transactions under the same rules and code.

    Raises:
        BadInputError: silver.transactions was never published.
        MissingToolError: The engine is not installed.
        GateError: A contract is broken; the last good versions stay.
        StorageError: The disk is full.
    """
    source = last_gated(workspace.lake, SILVER_TRANSACTIONS)
    if source is None:
        raise BadInputError(
            "there are no transactions to judge",
            where=SILVER_TRANSACTIONS.full_name,
            mend="./lakehouse transactions run   (generates some), or drop files into the inbox's folder transactions",
        )
    engine = chosen_engine(workspace.settings)
    identity = _fingerprint(workspace.settings, source)
    if _is_current(workspace, identity):
        return LayerResult(Layer.GOLD, (), {})
    candidates = workspace.step(
        f"detect anomalies ({engine})", Layer.GOLD, partial(_detect, workspace, engine, source, identity)
    )
    built = [Built(c.table, c.files, identity, c) for c in candidates]
    depends_on = {table.full_name: (SILVER_TRANSACTIONS.full_name,) for table in ANOMALIES}
    return release_layer(workspace, Layer.GOLD, built, depends_on)


def _fingerprint(settings: Settings, source: GatedVersion) -> str:
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(_CODE.glob("*.py")))
    parts = (source.record.fingerprint, str(source.version), repr(settings.detect.rules), code)
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _is_current(workspace: Workspace, identity: str) -> bool:
    found = ((table, last_gated(workspace.lake, table)) for table in ANOMALIES)
    return all(
        gated is not None
        and gated.record.fingerprint == identity
        and gated.record.contract_hash == contract_hash(table)
        for table, gated in found
    )


def _detect(workspace: Workspace, engine: DetectEngineName, source: GatedVersion, identity: str) -> list[Candidate]:
    from spark.detection import Stamp, store_tables

    staging = (workspace.staging / "detection").absolute()
    stamp = Stamp(workspace.run.at, workspace.run.run_id, source.version)
    with _running(staging), detection_session(workspace.settings, engine, staging) as session:

        def write(frame: DataFrame, name: str) -> DataFrame:
            place = str(staging / name)
            frame.write.mode("overwrite").option("compression", "zstd").parquet(place)
            return session.read.parquet(place)

        store_tables(_judged(session, workspace, source), workspace.settings.detect.rules, stamp, write, write)
    return [_candidate(table.full_name, staging / table.name, engine, identity) for table in ANOMALIES]


def _judged(session: SparkSession, workspace: Workspace, source: GatedVersion) -> DataFrame:
    """The readable version, read as Delta by the engine itself."""
    place = str(workspace.lake.path(source.table).absolute())
    return session.read.format("delta").option("versionAsOf", source.version).load(place)


def detection_session(
    settings: Settings, engine: DetectEngineName, scratch: Path
) -> AbstractContextManager[SparkSession]:
    """The session that section `detect` of the configuration asks for.

    Raises:
        MissingToolError: The engine's packages, or Java, are not installed.
        BadInputError: Nobody answers at `detect.remote`.
    """
    from spark.session import connect_session, sail_session, spark_session

    threads, memory_mb = settings.engine.threads, settings.engine.spark_memory_mb
    partitions = _PARTITIONS_PER_THREAD * threads
    if engine == "sail":
        return sail_session()
    if engine == "connect":
        remote = settings.detect.remote
        return connect_session(scratch, threads=threads, memory_mb=memory_mb, remote=remote, partitions=partitions)
    master = settings.detect.master
    return spark_session(scratch, threads=threads, memory_mb=memory_mb, master=master, partitions=partitions)


@contextmanager
def _running(staging: Path) -> Iterator[None]:
    """Sort what an engine raises while it computes: a full disk is the user's to mend, the rest is told whole."""
    try:
        yield
    except LakehouseError:
        raise
    except Exception as error:
        if "No space left" in str(error):
            raise StorageError("the disk is full", where=str(staging), mend="free some space and run again") from error
        raise


def _candidate(name: str, directory: Path, engine: DetectEngineName, identity: str) -> Candidate:
    rows = {file: pq.read_metadata(file).num_rows for file in sorted(directory.glob("*.parquet"))}
    total = sum(rows.values())
    files = tuple(file for file, count in rows.items() if count)
    return Candidate(name, files, Balance(total, total, 0, 0), fingerprint=identity, engine=engine)
