"""`lakehouse bench faults`: everything that can go wrong under ingest, and what became of acknowledged rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.faults.beside import ingest_beside_upkeep
from bench.faults.books import Books
from bench.faults.clock import set_the_clock_back
from bench.faults.cut_writer import cut_our_writer, cut_plain_writer
from bench.faults.full_disk import fill_the_disk
from bench.faults.fuzz import fuzz
from bench.faults.kill_then_cut import kill_then_cut
from bench.faults.kills import kill_under_load
from bench.faults.power_cut import Verdict
from bench.faults.storage import FAULTS, inject_faults
from bench.faults.twins import send_twins
from bench.measure import BenchError
from cli.output import console
from lake.errors import MissingToolError
from lake.lake import Lake
from lake.tables import BRONZE_TRANSACTIONS
from spark.session import spark_session

# At the default size; other sizes are a multiple of it.
KILLS = 100
_COMMITS, _KEEP_EVERY, _SEEDS = 30, 4, 3
_FAULT_S, _BESIDE_S = 20.0, 300.0
_TWINS, _EXAMPLES = 5_000, 300
_BOOKS_EVERY = 5
_CREATED = 201
_READERS = "deltalake, Polars"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the table; `wrong` counts whatever else a fault must not do."""

    fault: str
    times: int
    acknowledged: int
    lost: int
    twice: int
    wrong: int = 0
    read_by: str = _READERS
    worst_s: float | None = None
    note: str = ""

    def in_words(self) -> str:
        return f"{self.fault}, {self.times:,} times: {self.lost:,} lost, {self.twice:,} twice, {self.wrong:,} wrong"

    def as_row(self) -> dict[str, str]:
        return {
            "fault": self.fault,
            "times": f"{self.times:,}",
            "acknowledged": f"{self.acknowledged:,}",
            "lost": f"{self.lost:,}",
            "twice": f"{self.twice:,}",
            "wrong": f"{self.wrong:,}",
            "worst_s": "" if self.worst_s is None else f"{self.worst_s:.2f}",
            "read_by": self.read_by,
        }


Trial = Callable[[Path, float], Iterator[Outcome]]


def bench_faults(rows: int | None = None) -> dict[str, Any]:
    """Every fault, as long as `rows` says: so many kills, and of everything else in proportion; by default 100.

    Returns:
        `table`: a row a fault; `notes`: what each was, in words; `runs`: the same as data.

    Raises:
        BenchError: The service did not come back from a fault.
        MissingToolError: strace, unshare or root is missing.
    """
    scale = (rows or KILLS) / KILLS
    outcomes: list[Outcome] = []
    for trial in _TRIALS:
        with tempfile.TemporaryDirectory(prefix="lakehouse-faults-") as folder:
            for outcome in trial(Path(folder), scale):
                # Half an hour in all: what is known is worth saying.
                console.print(f"{len(outcomes) + 1}. {outcome.in_words()}", highlight=False)
                outcomes.append(outcome)
    lost, twice, wrong = (sum(getattr(o, name) for o in outcomes) for name in ("lost", "twice", "wrong"))
    notes = [f"{o.fault}: {o.note}" for o in outcomes if o.note]
    ours = sum(o.acknowledged for o in outcomes)
    notes.append(
        f"of {ours:,} acknowledged rows {lost} were lost and {twice} are there twice; {wrong} answers were wrong"
    )
    runs = [{name: getattr(o, name) for name in Outcome.__dataclass_fields__} for o in outcomes]
    return {"table": [o.as_row() for o in outcomes], "notes": [*notes, _plain()], "runs": runs}


def _power(folder: Path, scale: float) -> Iterator[Outcome]:
    commits = _at_least(_KEEP_EVERY + 2, _COMMITS * scale)
    verdict = cut_our_writer(folder, commits=commits, seeds=_SEEDS, keep_every=_KEEP_EVERY)
    yield Outcome(
        "power cut at each system call",
        verdict.calls,
        verdict.acknowledged,
        verdict.lost,
        verdict.doubled,
        wrong=sum(verdict.unreadable.values()),
        note=f"{commits} groups of commits with checkpoints and compaction; {verdict.images:,} different disks; "
        f"mended at the next start: {_mended(verdict)}",
    )


def _kill_and_power(folder: Path, scale: float) -> Iterator[Outcome]:
    found = [killed.verdict for killed in kill_then_cut(folder, seeds=_at_least(1, _SEEDS * scale))]
    yield Outcome(
        "kill -9 in a commit, then power cut",
        sum(verdict.calls for verdict in found),
        sum(verdict.acknowledged for verdict in found),
        max(verdict.lost for verdict in found),
        max(verdict.doubled for verdict in found),
        wrong=sum(sum(verdict.unreadable.values()) for verdict in found),
        note=f"killed at each of {len(found)} calls of a commit, the power cut at each call of the next writer",
    )


def _mended(verdict: Verdict) -> str:
    return ", ".join(f"{n} × {what}" for what, n in sorted(verdict.mended.items())) or "nothing"


def _plain() -> str:
    with tempfile.TemporaryDirectory(prefix="lakehouse-faults-") as folder:
        verdict = cut_plain_writer(Path(folder), commits=3, seeds=_SEEDS)
    return (
        f"for comparison, write_deltalake under the same power cuts: {verdict.lost} of {verdict.acknowledged} rows "
        f"lost, the log torn in {sum(n for what, n in verdict.mended.items() if 'log entry' in what)} disks"
    )


def _kills(folder: Path, scale: float) -> Iterator[Outcome]:
    kills = _at_least(6, KILLS * scale)
    done = kill_under_load(folder, kills=kills, books_every=_BOOKS_EVERY)
    yield _outcome(
        "kill -9 under load",
        kills,
        done.books,
        done.longest_answer_s,
        read_by=_with_spark(folder, done.books),
        note=f"{done.kills}; books closed {done.closings} times",
    )


def _disk(folder: Path, scale: float) -> Iterator[Outcome]:
    times = _at_least(1, 3 * scale)
    for number in range(times):
        place = folder / str(number)
        place.mkdir()
        full = fill_the_disk(place)
        if number == times - 1 or not (full.books.is_exact and full.same_processes):
            wrong = sum(n for status, n in full.statuses.items() if status not in ("201", "503"))
            note = f"answers {full.statuses}; the same processes went on: {full.same_processes}"
            worst = full.longest_answer_s
            yield _outcome("disk full", times, full.books, worst, wrong=wrong + (not full.same_processes), note=note)
            return


def _storage(folder: Path, scale: float) -> Iterator[Outcome]:
    for done in inject_faults(folder, seconds=max(1.0, _FAULT_S * scale)):
        fault = FAULTS[done.fault]
        yield _outcome(
            f"storage: {done.fault}",
            done.struck,
            done.books,
            done.longest_answer_s,
            wrong=sum(n for status, n in done.statuses.items() if status not in ("201", "503")),
            note=f"{fault.as_strace_says} for {done.seconds:.0f} s in {done.struck} writers, answers {done.statuses}",
        )


def _upkeep(folder: Path, scale: float) -> Iterator[Outcome]:
    done = ingest_beside_upkeep(folder, seconds=max(5.0, _BESIDE_S * scale))
    reads = done.reads
    yield _outcome(
        "upkeep and readers beside ingest",
        done.compactions,
        done.books,
        done.longest_answer_s,
        wrong=len(reads.failures),
        read_by=_with_spark(folder, done.books),
        note=f"{done.compactions} compactions, {done.entries_cleaned:,} log entries cleaned, {reads.vacuums} vacuums, "
        f"{reads.pinned:,} reads of pinned versions and {reads.proofs:,} proofs, {len(reads.failures)} failed",
    )


def _clock(folder: Path, scale: float) -> Iterator[Outcome]:  # noqa: ARG001
    done = set_the_clock_back(folder)
    wrong = done.repeats - done.known + (not done.in_order)
    yield Outcome("clock set back", done.commits, done.commits, 0, done.twice, wrong=wrong, note=f"{done}")


def _twins(folder: Path, scale: float) -> Iterator[Outcome]:
    done = send_twins(folder, ids=_at_least(50, _TWINS * scale))
    yield Outcome(
        "same ids at once, four workers",
        done.ids,
        done.statuses[_CREATED],
        done.ids - done.in_table,
        done.twice,
        wrong=done.wrong,
        note=f"each from three connections, one in four contradicted: answers {dict(done.statuses)}",
    )


def _fuzz(folder: Path, scale: float) -> Iterator[Outcome]:
    done = fuzz(folder, examples=_at_least(5, _EXAMPLES * scale))
    wrong = done.server_errors + bool(done.failures) + (not done.alive)
    yield Outcome("made-up requests", done.requests, 0, 0, 0, wrong=wrong, note=f"{done.statuses} {done.failures}")


_TRIALS: tuple[Trial, ...] = (_power, _kill_and_power, _kills, _disk, _storage, _upkeep, _clock, _twins, _fuzz)


def _outcome(
    fault: str, times: int, books: Books, worst_s: float, *, wrong: int = 0, read_by: str = _READERS, note: str = ""
) -> Outcome:
    wrong += books.elsewhere
    return Outcome(fault, times, books.acknowledged, books.lost, books.twice, wrong, read_by, worst_s, note)


def _at_least(fewest: int, wanted: float) -> int:
    return max(fewest, round(wanted))


def _with_spark(folder: Path, books: Books) -> str:
    """Read the table with delta-spark as well.

    Raises:
        BenchError: It sees other rows.
    """
    try:
        with spark_session(folder / "spark") as session:
            frame = session.read.format("delta").load(str(Lake(folder / "lake").path(BRONZE_TRANSACTIONS)))
            rows, ids = frame.count(), frame.select("transaction_id").distinct().count()
    except MissingToolError:
        return f"{_READERS} (no Java for delta-spark)"
    if (rows, ids) != (books.rows, books.rows - books.twice):
        raise BenchError(f"delta-spark sees {rows} rows with {ids} ids, Polars {books.rows}")
    return f"{_READERS}, delta-spark"
