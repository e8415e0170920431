"""A clock that is set back while rows come in: their order of receipt stays, and repeats are still known."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from api.writer.protocol import Committed, Reply
from bench.faults.writing import row, writing
from bench.measure import BenchError
from lake.lake import Lake
from lake.tables import BRONZE_TRANSACTIONS

# The writer with a wall clock that is off by the seconds in a file; nothing of the product knows of it.
_SHIFTED = """
import datetime, pathlib, sys, time
from api.writer import __main__ as writer
shift, real_ns, real = pathlib.Path(sys.argv[1]), time.time_ns, datetime.datetime
seconds = lambda: float(shift.read_text())
class Shifted(real):
    @classmethod
    def now(cls, tz=None):
        return real.now(tz) + datetime.timedelta(seconds=seconds())
time.time_ns = lambda: real_ns() + int(seconds() * 1e9)
writer.datetime = Shifted
writer.main()
"""


@dataclass(frozen=True, slots=True)
class SetBack:
    """What came of it.

    Args:
        commits: With the clock going backwards between them.
        repeats: Rows sent again, under the clock set back and to a writer started under it.
        known: Of these, answered with their first version.
        twice: Ids in the table more than once.
        in_order: Whether later versions were received later, strictly.
    """

    commits: int
    repeats: int
    known: int
    twice: int
    in_order: bool


def set_the_clock_back(folder: Path, *, hours: Sequence[float] = (0, -1, -30, -0.5)) -> SetBack:
    """Commit under each shift of the clock in turn, repeating everything before each time; then again, started anew.

    Raises:
        BenchError: The writer did not do its part.
    """
    lake, first = folder / "lake", dict[str, int]()
    shift = folder / "shift"
    shift.write_text("0")
    repeats, known = asyncio.run(_drive(lake, folder, shift, hours, first))
    delta = Lake(lake).open(BRONZE_TRANSACTIONS)
    if delta is None:
        raise BenchError("nothing was committed")
    rows = pl.scan_parquet(delta.file_uris()).select("transaction_id", "_batch_id", "_ingested_at").collect()
    received = rows.group_by("_batch_id").agg(pl.col("_ingested_at").min()).sort("_batch_id")["_ingested_at"]
    twice = rows.height - rows["transaction_id"].n_unique()
    return SetBack(
        len(received), repeats, known, twice, bool((received.diff().drop_nulls().dt.total_microseconds() > 0).all())
    )


async def _drive(
    lake: Path, folder: Path, shift: Path, hours: Sequence[float], first: dict[str, int]
) -> tuple[int, int]:
    repeats = known = seq = 0
    for life in range(2):
        async with writing(lake, {}, folder / "writer.log", command=lambda _: _command(shift)) as driver:
            for step, hour in enumerate(hours):
                shift.write_text(str(3600 * hour))
                for identifier, version in list(first.items()):
                    seq += 1
                    reply = (await driver.ask(row(seq, identifier)))[0]
                    repeats += 1
                    known += isinstance(reply, Committed) and reply.repeated and reply.version == version
                seq += 1
                identifier = f"t-{life}-{step}"
                first[identifier] = _version((await driver.ask(row(seq, identifier)))[0])
    return repeats, known


def _command(shift: Path) -> list[str]:
    return [sys.executable, "-c", _SHIFTED, str(shift)]


def _version(reply: Reply) -> int:
    if not isinstance(reply, Committed) or reply.repeated:
        raise BenchError(f"a new row was answered {reply!r}")
    return reply.version
