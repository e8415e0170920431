"""Tables out: all of them staged and checked before the first is published, each by one Delta commit.

A driver killed at any moment leaves every table at its previous or its new version, never between; the stamps
(`run_id`) tell which. What it had staged is removed by the next run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.errors import LakeBusyError, StorageError
from spark.job.places import first_line, write_failures

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STAGING = "_staging"
_KEPT = "kept"


@dataclass(frozen=True)
class Candidate:
    """Rows staged for a table: where they lie, as Parquet, and what reads them."""

    place: str
    rows: DataFrame


@dataclass
class Output:
    """A directory of published tables, and what one run stages beside them.

    Args:
        session: Writes.
        path: Absolute path or URL.
        run_id: Names the run's staging.
        is_here: Whether this process sees the same files as Spark does at `path`.
        candidates: By table; filled by `store`.
    """

    session: SparkSession
    path: str
    run_id: str
    is_here: bool = True
    candidates: dict[str, Candidate] = field(default_factory=dict)

    @property
    def staging(self) -> str:
        return f"{self.path.rstrip('/')}/{STAGING}"

    def keep(self, frame: DataFrame, name: str) -> DataFrame:
        """Store what later steps read again."""
        return self._staged(frame, f"{self.staging}/{self.run_id}/{_KEPT}/{name}")

    def store(self, frame: DataFrame, name: str) -> DataFrame:
        """Store a table's candidate."""
        place = f"{self.staging}/{self.run_id}/{name}"
        self.candidates[name] = Candidate(place, self._staged(frame, place))
        return self.candidates[name].rows

    def _staged(self, frame: DataFrame, place: str) -> DataFrame:
        with write_failures(self.path):
            frame.write.mode("overwrite").parquet(place)
        # Of no rows not every engine writes a file that could tell the columns.
        return self.session.read.schema(columns_of(frame)).parquet(place)

    def publish(self) -> None:
        """Replace each table's rows with its candidate's.

        Raises:
            StorageError: A place holds something else than a Delta table of these columns, seen before the first
                commit; or it cannot be written.
        """
        for name in sorted(self.candidates):
            self._require_replaceable(name)
        for name, candidate in sorted(self.candidates.items()):
            with write_failures(self.path):
                writer = candidate.rows.write.format("delta").mode("overwrite")
                # Readers other than Spark know no deletion vectors.
                writer = writer.option("delta.enableDeletionVectors", "false").option("userMetadata", self.run_id)
                writer.save(f"{self.path.rstrip('/')}/{name}")

    def _require_replaceable(self, name: str) -> None:
        from pyspark.errors import PySparkException

        place = f"{self.path.rstrip('/')}/{name}"
        if self.is_here and not _holds_something(Path(place)):
            return
        try:
            published = self.session.read.format("delta").load(place).dtypes
        except PySparkException as error:
            if not self.is_here:
                # A table that is not there yet raises too, and no engine says which in the same words.
                return
            raise StorageError(
                f"is no Delta table: {first_line(error)}", where=place, mend="move it away, or --output DIR"
            ) from None
        if sorted(published) != sorted(self.candidates[name].rows.dtypes):
            columns = ", ".join(f"{column} {kind}" for column, kind in published)
            raise StorageError(f"has other columns: {columns}", where=place, mend="move it away, or --output DIR")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs of this machine out, remove what killed ones left, and in the end what this one staged.

        Raises:
            LakeBusyError: Another run writes here.
            StorageError: Nothing can be written here.
        """
        if not self.is_here:
            try:
                self._remove()
                yield
            finally:
                self._remove()
            return
        with _locked(Path(self.staging), self.path):
            self._clear()
            try:
                yield
            finally:
                self._clear()

    def _clear(self) -> None:
        for left in Path(self.staging).iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)

    @property
    def clears_up(self) -> bool:
        """Whether staged files can be removed: a Connect client sees no files but its own machine's."""
        return self.is_here or "connect" not in type(self.session).__module__

    def _remove(self) -> None:
        """By Hadoop's file system, which a classic session has; over Connect the staged files stay."""
        if not self.clears_up:
            return
        # PySpark itself knows no files.
        context: Any = self.session.sparkContext
        place = context._jvm.org.apache.hadoop.fs.Path(self.staging)
        with write_failures(self.path):
            place.getFileSystem(context._jsc.hadoopConfiguration()).delete(place, True)


@contextmanager
def _locked(staging: Path, where: str) -> Iterator[None]:
    try:
        staging.mkdir(parents=True, exist_ok=True)
        lock = os.open(staging / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(f"cannot be written: {error.strerror}", where=where, mend="--output DIR") from None
    try:
        _take(lock, where)
        yield
    finally:
        # The kernel lets go of it too, however the process ends.
        os.close(lock)


def _take(lock: int, where: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LakeBusyError("another run writes here", where=where, mend="wait for it, or --output DIR") from None
    except OSError:
        # File systems of clusters (FUSE, NFS) may know no locks: nobody is kept out there.
        return


def columns_of(frame: DataFrame) -> str:
    """A frame's columns as SQL declares them."""
    # As text: of a schema as an object PySpark asks the session that is active, which may be another.
    return ", ".join(f"`{name}` {kind}" for name, kind in frame.dtypes)


def _holds_something(place: Path) -> bool:
    return place.exists() and (not place.is_dir() or any(place.iterdir()))
