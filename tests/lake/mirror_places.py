"""What the mirror's tests share: a table to which everything happens, a store that dies, looks from outside."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lake.candidate import Balance, Candidate, SaveMode
from lake.checks import Outcome
from lake.compaction import compact
from lake.gated import GateRecord
from lake.lake import Lake
from lake.mirror import Mirrored, mirror, place_of
from lake.mirror_verify import verify
from lake.object_store import ObjectStore
from lake.publish import admit, publish, restore
from lake.settings import MirrorSettings
from lake.tables import table
from lake.vacuum import vacuum
from tests.lake.conftest import RUN, append_as_stranger, append_pending, newest_version, passing, read_rows

PLANS = table("bronze.plans")
PLACE = place_of(PLANS)


class KilledError(BaseException):
    """Nobody who handles errors handles this: the process is gone."""


class DyingStore(ObjectStore):
    """A real store whose user is killed at its k-th change, before it came about or right after.

    Args:
        url: See ObjectStore.
        settings: See ObjectStore.
        at: Which change, from 0; none when negative.
        after: Whether the change comes about.
    """

    def __init__(self, url: str, settings: MirrorSettings, at: int = -1, *, after: bool = False) -> None:
        super().__init__(url, settings)
        self.changes, self._at, self._after, self._dead = 0, at, after, False
        self._turn = threading.Lock()

    def put(self, path: str, source: Path | bytes) -> None:
        with self._change():
            super().put(path, source)

    def create(self, path: str, content: bytes) -> bool:
        with self._change():
            return super().create(path, content)

    @contextmanager
    def _change(self) -> Iterator[None]:
        # Files are copied by several threads; changes are counted one at a time.
        with self._turn:
            number, self.changes = self.changes, self.changes + 1
            if self._dead or (number == self._at and not self._after):
                self._dead = True
                raise KilledError
            yield
            if number == self._at:
                self._dead = True
                raise KilledError


def mirrored(lake: Lake, store: ObjectStore) -> Mirrored:
    """Mirror and verify, every byte of it."""
    done = mirror(lake, PLANS, store)
    assert done is not None
    verify(lake, PLANS, store, done, every_byte=True)
    return done


def rows_of_readers(lake: Lake) -> tuple[str, ...]:
    """What readers of the lake see."""
    return tuple(read_rows(lake, PLANS))


def rows_of_copy(store: ObjectStore) -> tuple[str, ...] | None:
    """What readers of the copy see; None while there is no table."""
    delta = store.delta(PLACE)
    return None if delta is None else rows_in(delta)


def rows_in(delta: DeltaTable) -> tuple[str, ...]:
    return tuple(sorted(delta.to_pyarrow_table(columns=["plan_id"])["plan_id"].to_pylist()))


class History:
    """A table to which things happen, and the rows its readers saw after each.

    Args:
        lake: Where it lies.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.seen: list[tuple[str, ...]] = []
        self._count = 0

    def happen(self, *names: str) -> None:
        for name in names:
            self._count += 1
            getattr(self, name)(f"{name}-{self._count}")
            self.seen.append(rows_of_readers(self.lake))

    def append(self, word: str) -> None:
        # A stranger's rows are in the way of an append; here a person takes them out first.
        if newest_version(self.lake, PLANS) >= 0:
            restore(self.lake, PLANS)
        self._publish("append", word)

    def replace(self, word: str) -> None:
        self._publish("overwrite", word, f"{word}b")

    def _publish(self, mode: SaveMode, *ids: str) -> None:
        staging = self.lake.staging(RUN.run_id) / ids[0]
        staging.mkdir(parents=True)
        rows = {c.name: [None] * len(ids) for c in PLANS.columns} | {
            "plan_id": list(ids),
            "_batch_id": [ids[0]] * len(ids),
        }
        pq.write_table(pa.table(rows, schema=PLANS.schema), staging / "data_0.parquet")
        batches = (ids[0],) if mode == "append" else ()
        balance = Balance(len(ids), len(ids), 0, 0)
        candidate = Candidate(PLANS.full_name, (staging / "data_0.parquet",), balance, (), mode, batches, ids[0])
        publish(self.lake, candidate, passing(candidate), RUN, {})

    def wait(self, word: str) -> None:
        append_pending(self.lake, PLANS, [word])

    def admit(self, word: str) -> None:
        restore(self.lake, PLANS)
        newest = newest_version(self.lake, PLANS)
        record = GateRecord(word, Outcome.PASSED.value, contract_hash="c1")
        admit(self.lake, PLANS, newest, record)

    def admit_late(self, word: str) -> None:
        """The gate looked, and rows came before it said so."""
        restore(self.lake, PLANS)
        looked_at = newest_version(self.lake, PLANS)
        append_pending(self.lake, PLANS, [word])
        append_pending(self.lake, PLANS, [f"{word}b"])
        admit(self.lake, PLANS, looked_at, GateRecord(word, Outcome.PASSED.value, contract_hash="c1"))

    def stranger(self, word: str) -> None:
        append_as_stranger(self.lake, PLANS, word)

    def restore(self, word: str) -> None:
        restore(self.lake, PLANS)

    def compact(self, word: str) -> None:
        compact(self.lake, PLANS, min_files=2)

    def vacuum(self, word: str) -> None:
        vacuum(self.lake, dataclasses.replace(PLANS, retention_days=0))
