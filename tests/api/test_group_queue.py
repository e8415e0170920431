"""Groups: bounded, quick for one caller, full for many, never later than the bound."""

from __future__ import annotations

import time

import pytest

from api.writer.queue import GroupQueue
from lake.settings import IngestSettings


def queue(**changes: float) -> GroupQueue[int]:
    return GroupQueue(IngestSettings.model_validate(changes))


def test_beyond_the_bounds_nothing_is_taken_until_a_group_is_done() -> None:
    waiting = queue(queue_rows=10)
    assert waiting.offer(1, 6, 10)
    assert not waiting.offer(2, 5, 10)
    assert waiting.offer(3, 4, 10)
    assert waiting.take() == [1, 3]
    assert not waiting.offer(4, 1, 10), "what is being committed still counts"
    waiting.close()
    assert waiting.take() is None
    assert waiting.load().rows == 0


def test_bytes_are_bounded_too() -> None:
    waiting = queue(queue_bytes=2_000)
    assert waiting.offer(1, 1, 1_500)
    assert not waiting.offer(2, 1, 600)


def test_one_request_larger_than_the_queue_is_taken_when_it_is_alone() -> None:
    waiting = queue(queue_rows=10)
    assert waiting.offer(1, 50, 10)
    assert not waiting.offer(2, 1, 10)


def test_a_group_ends_at_its_rows_but_holds_at_least_one_request() -> None:
    waiting = queue(max_group_rows=10, max_wait_ms=0)
    for item, rows in enumerate((4, 4, 4, 20, 1)):
        assert waiting.offer(item, rows, 10)
    assert [waiting.take() for _ in range(4)] == [[0, 1], [2], [3], [4]]


def test_closed_it_gives_out_what_it_accepted_and_takes_no_more() -> None:
    waiting = queue()
    waiting.offer(1, 1, 1)
    waiting.close()
    assert not waiting.offer(2, 1, 1)
    assert waiting.take() == [1]
    assert waiting.take() is None


def test_a_lone_caller_does_not_wait_for_company() -> None:
    waiting = queue(max_wait_ms=1_000)
    waits = []
    for item in range(20):
        waiting.offer(item, 1, 1)
        began = time.monotonic()
        assert waiting.take() == [item]
        waits.append(time.monotonic() - began)
    assert sorted(waits)[10] < 0.001


class Arrivals:
    """A clock that goes on while somebody sleeps, and callers who come meanwhile, one every fifth of a millisecond."""

    def __init__(self, waiting: GroupQueue[int]) -> None:
        self._waiting, self._microseconds, self._came = waiting, 0, 0

    def monotonic(self) -> float:
        return self._microseconds / 1e6

    def sleep(self, seconds: float) -> None:
        self._microseconds += round(seconds * 1e6)
        while self._came * 200 < self._microseconds:
            self._waiting.offer(self._came, 1, 1)
            self._came += 1


@pytest.mark.parametrize(("around", "size", "seconds"), [(100, 51, 0.01), (10_000, 251, 0.05)])
def test_a_group_waits_for_half_of_the_callers_and_no_longer_than_the_bound(
    around: int, size: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = queue(max_wait_ms=50)
    for item in range(around):
        waiting.offer(-item, 1, 1)
    waiting.take()
    arrivals = Arrivals(waiting)
    monkeypatch.setattr("api.writer.queue.time", arrivals)
    waiting.offer(-1, 1, 1)
    group = waiting.take()
    assert group is not None
    assert (len(group), arrivals.monotonic()) == (size, seconds)


@pytest.mark.parametrize("callers", [2, 8])
def test_when_all_who_wait_have_come_the_group_is_closed_before_the_bound(callers: int) -> None:
    waiting = queue(max_wait_ms=1_000)
    waits = []
    for _ in range(10):
        for item in range(callers):
            waiting.offer(item, 1, 1)
        began = time.monotonic()
        assert waiting.take() == list(range(callers))
        waits.append(time.monotonic() - began)
    assert sorted(waits)[5] < 0.05
