"""What was accepted and waits for its commit: bounded, and cut into groups that grow with the load.

A group is closed when half of the callers around are in it: while it is committed the other half comes, so that HTTP
and disk work at the same time. It is closed earlier when nobody comes any more, or at the bound; a lone caller never
waits.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Generic, TypeVar

from lake.settings import IngestSettings

Item = TypeVar("Item")

_LOOK_EVERY_S = 0.0005
# Nobody for so long: those who could join have joined. Longer than the time between two of many callers.
_PAUSE_S = 0.001


@dataclass(frozen=True, slots=True)
class Load:
    """What is accepted and not committed yet."""

    rows: int
    size_bytes: int


class GroupQueue(Generic[Item]):
    """A bounded queue that gives out groups; safe for one thread that offers and one that takes."""

    def __init__(self, settings: IngestSettings) -> None:
        self._max_rows, self._max_bytes = settings.queue_rows, settings.queue_bytes
        self._max_group_rows, self._max_wait_s = settings.max_group_rows, settings.max_wait_ms / 1000
        self._items: list[tuple[Item, int, int]] = []
        self._rows = self._bytes = 0
        self._waiting_rows = 0
        self._taken = (0, 0)
        self._last_items = 1
        self._closed = False
        self._changed = threading.Condition()

    def load(self) -> Load:
        return Load(self._rows, self._bytes)

    def offer(self, item: Item, rows: int, size_bytes: int) -> bool:
        """Accept an item, unless the bounds are reached. One larger than the bounds is accepted by an empty queue."""
        with self._changed:
            full = self._rows + rows > self._max_rows or self._bytes + size_bytes > self._max_bytes
            if self._closed or (full and self._rows + self._bytes > 0):
                return False
            self._items.append((item, rows, size_bytes))
            self._rows += rows
            self._bytes += size_bytes
            self._waiting_rows += rows
            self._changed.notify()
            return True

    def close(self) -> None:
        """Accept nothing more; what was accepted is still given out."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self) -> list[Item] | None:
        """The next group, once it is there; the one before counts as done. None: closed and empty."""
        with self._changed:
            self._rows -= self._taken[0]
            self._bytes -= self._taken[1]
            self._taken = (0, 0)
            while not self._items:
                if self._closed:
                    return None
                self._changed.wait()
            self._wait_for_company()
            return self._cut()

    def _wait_for_company(self) -> None:
        # Those of the last group are on their way back.
        enough = (self._last_items + len(self._items) + 1) // 2
        end = time.monotonic() + self._max_wait_s
        before, quiet_since = len(self._items), time.monotonic()
        while len(self._items) < enough and self._waiting_rows < self._max_group_rows and not self._closed:
            # Sleeping instead of waiting for each arrival: thousands a second would wake this thread for nothing.
            self._changed.release()
            time.sleep(_LOOK_EVERY_S)
            self._changed.acquire()
            now = time.monotonic()
            if len(self._items) > before:
                before, quiet_since = len(self._items), now
            if now >= end or now - quiet_since >= _PAUSE_S:
                return

    def _cut(self) -> list[Item]:
        group: list[Item] = []
        rows = size_bytes = 0
        for item, item_rows, item_bytes in self._items:
            if group and rows + item_rows > self._max_group_rows:
                break
            group.append(item)
            rows += item_rows
            size_bytes += item_bytes
        del self._items[: len(group)]
        self._waiting_rows -= rows
        self._taken = (rows, size_bytes)
        self._last_items = len(group)
        return group
