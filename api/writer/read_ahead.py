"""Large batches that wait for their commit are read and hashed meanwhile, on a thread beside the one that commits."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa

from api.writer.decision import Rows
from api.writer.ledger import prints_of
from api.writer.protocol import Batch, Request
from lake.tables import BRONZE_TRANSACTIONS

# The rows of smaller ones are hashed, and looked up, faster together with others of their group.
_LARGE_ROWS = 20_000


class ReadAhead:
    """What of the accepted batches is read already; safe for one thread that begins and one that takes."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "read-ahead")
        self._begun: dict[int, Future[Rows]] = {}

    def __len__(self) -> int:
        """Batches begun and not forgotten."""
        return len(self._begun)

    def begin(self, batch: Batch) -> None:
        """Read a batch before somebody asks for it, if it is large; `forget` it in the end."""
        if batch.received >= _LARGE_ROWS:
            self._begun[id(batch)] = self._thread.submit(_read, batch)

    def take(self, batch: Batch) -> Rows:
        """A batch as read; without prints where it was not begun."""
        begun = self._begun.get(id(batch))
        return _rows_of(batch) if begun is None else begun.result()

    def forget(self, requests: Iterable[Request]) -> None:
        """Let go of what was begun."""
        for request in requests:
            begun = self._begun.pop(id(request), None)
            if begun is not None:
                begun.cancel()


def _read(batch: Batch) -> Rows:
    rows = _rows_of(batch)
    return replace(rows, prints=prints_of(rows.table, BRONZE_TRANSACTIONS.key[0]))


def _rows_of(batch: Batch) -> Rows:
    with pa.ipc.open_stream(batch.rows) as reader:
        return Rows(reader.read_all(), strict=batch.strict)
