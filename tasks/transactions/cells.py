"""Cells of the feed, drawn by several threads and handed on in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from lake.settings import TransactionSettings
from tasks.transactions.columns import transaction_columns, truth_columns
from tasks.transactions.feed import Feed

# Rows done and rows in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Cell:
    """Rows of one day of one block of accounts, and what they must fire."""

    transactions: pa.RecordBatch
    truth: pa.RecordBatch


def drawn_cells(feed: Feed, settings: TransactionSettings, progress: Progress | None) -> Iterator[Cell]:
    """Every cell in its order.

    Args:
        feed: What to draw.
        settings: As many cells are in memory as fit into `chunk_rows`, at least one; `threads` draw them.
        progress: Told after each cell, once the reader asks for the next.
    """
    waiting: deque[tuple[int, Future[Cell]]] = deque()
    waiting_rows = done = 0
    with ThreadPoolExecutor(settings.threads, thread_name_prefix="generate") as pool:
        try:
            # The last turn takes no cell but empties what waits.
            for cell in range(feed.cells + 1):
                rows = feed.rows(cell) if cell < feed.cells else settings.chunk_rows + 1
                while waiting and waiting_rows + rows > settings.chunk_rows:
                    oldest, future = waiting.popleft()
                    yield future.result()
                    waiting_rows -= oldest
                    done += oldest
                    if progress is not None:
                        progress(done, settings.count)
                if cell < feed.cells:
                    waiting.append((rows, pool.submit(_draw, feed, cell)))
                    waiting_rows += rows
        finally:
            for _, future in waiting:
                future.cancel()


def _draw(feed: Feed, cell: int) -> Cell:
    rows = feed.draw(cell)
    return Cell(transaction_columns(rows), truth_columns(rows))
