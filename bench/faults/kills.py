"""kill -9 under load: a worker, the writer, or everything, at random moments."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.faults.books import Books, close_books, told
from bench.faults.callers import Callers
from bench.faults.service import Service, serving
from bench.ingest.bodies import Form, make_bodies

_LONGEST_WAIT_S = 0.6
_ANSWERS_BETWEEN = 20


@dataclass(frozen=True, slots=True)
class Killed:
    """What kills came to.

    Args:
        kills: By what was killed.
        books: The worst of all closings of the books; after the last kill they hold every row.
        closings: How often the books were closed.
        longest_answer_s: Longest time from sending a request first to its answer, s.
    """

    kills: dict[str, int]
    books: Books
    closings: int
    longest_answer_s: float


def kill_under_load(
    folder: Path, *, kills: int, seed: int = 0, connections: int = 16, books_every: int = 1, workers: int = 2
) -> Killed:
    """Kill, wait until rows are acknowledged again, close the books; `kills` times.

    Raises:
        BenchError: The service did not come back.
        LakehouseError: The table cannot be read.
    """
    bodies = make_bodies(Form.ROW, seed=seed)
    chance = random.Random(seed)
    targets: list[str] = []
    closings = 0
    with serving(folder, workers=workers) as service:
        with Callers(service, bodies, connections) as callers:
            callers.wait_for(_ANSWERS_BETWEEN)
            for number in range(kills):
                time.sleep(chance.uniform(0, _LONGEST_WAIT_S))
                target = _TURNS[number % len(_TURNS)]
                targets.append(target)
                _KILLS[target](service, chance)
                callers.wait_for(callers.acknowledged() + _ANSWERS_BETWEEN)
                if (number + 1) % books_every == 0:
                    # While more rows come: those told until now have to be there.
                    books = close_books(service.root, told(bodies, list(callers.load.acknowledged)))
                    closings += 1
                    if not books.is_exact:
                        return Killed(_counted(targets), books, closings, 0.0)
        figures = callers.figures
    books = close_books(folder / "lake", told(bodies, callers.load.acknowledged))
    return Killed(_counted(targets), books, closings + 1, figures.latency.max_ms / 1000)


def _kill_worker(service: Service, chance: random.Random) -> None:
    service.kill(chance.choice(service.workers() or [None]))


def _kill_writer(service: Service, chance: random.Random) -> None:  # noqa: ARG001
    service.kill(service.writer())


def _kill_everything(service: Service, chance: random.Random) -> None:  # noqa: ARG001
    service.kill_everything()
    service.start()


_KILLS: dict[str, Callable[[Service, random.Random], None]] = {
    "writer": _kill_writer,
    "worker": _kill_worker,
    "everything": _kill_everything,
}
# Starting all of it again takes longest, so it comes least often.
_TURNS = ("writer", "worker", "writer", "worker", "writer", "everything")


def _counted(targets: list[str]) -> dict[str, int]:
    return {target: targets.count(target) for target in _KILLS}
