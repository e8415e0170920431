"""Power cuts, at every system call of a real writer's commits: what was acknowledged is there, and once.

A trace of the writer drives a model of the disk (disk). At each call the power goes; what the disk may then hold is
built, repaired as at a start, and read with deltalake and Polars. What was acknowledged is read off the writer's own
socket in the trace, so nothing in the writer knows of this.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from api.writer.recovery import recover
from bench.faults.calls import Call, Kind
from bench.faults.disk import Disk, Image, Loss, read_image, write_image
from bench.measure import BenchError
from lake.errors import LakehouseError
from lake.lake import Lake
from lake.repair import repair
from lake.settings import IngestSettings
from lake.table import Table
from lake.tables import BRONZE_TRANSACTIONS, quarantine_of

LAKE = "lake"
QUARANTINE = quarantine_of(BRONZE_TRANSACTIONS)
_KEY = BRONZE_TRANSACTIONS.key[0]
_SIDE_EFFECT = "temporary file of a dead process"


@dataclass(frozen=True, slots=True)
class Found:
    """What a lake holds after a power cut.

    Args:
        ids: How often each `transaction_id` is in bronze.
        payloads: How often each refused row is in quarantine.
        mended: What had to be repaired before anything could be read; leftovers of dead processes do not count.
        unreadable: Why it cannot be read; empty when it can.
    """

    ids: Counter[str]
    payloads: Counter[str]
    mended: tuple[str, ...] = ()
    unreadable: str = ""


@dataclass(slots=True)
class Verdict:
    """All cuts of one trace.

    Args:
        calls: System calls that changed the disk, and so were cut at.
        images: Different disks that came of it.
        acknowledged: Rows acknowledged in the whole trace, refused ones included.
        lost: Rows that were acknowledged before a cut and are not there after it, the most at any cut.
        doubled: Rows there more than once, the most at any cut.
        mended: Repairs, by what was found and how the power went.
        unreadable: Cuts after which the lake could not be read, by how the power went.
        examples: Cuts after which not all was well.
    """

    calls: int = 0
    images: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    mended: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)


# What a told text acknowledges: ids in bronze, and payloads in quarantine.
Acknowledge = Callable[[Call], tuple[Sequence[str], Sequence[str]]]


def cut_everywhere(
    root: Path,
    disk: Disk,
    calls: Sequence[Call],
    acknowledge: Acknowledge,
    scratch: Path,
    *,
    seeds: int,
    ledger: bool,
    already: Iterable[str] = (),
) -> Verdict:
    """Cut the power before the first call, after each that changes the disk, and see what is left.

    Args:
        root: The directory watched, as it is after the last call; the lake lies in it.
        disk: As it is before the first call.
        calls: What happened.
        acknowledge: Reads off what was told.
        scratch: Directory for disks; emptied again.
        seeds: Random losses tried at each cut.
        ledger: Whether a starting writer has to know every row that is there again; only its own rows bear that.
        already: Ids that were acknowledged before the first call.

    Raises:
        BenchError: The calls do not explain what is in `root`.
    """
    verdict, judged = Verdict(), dict[bytes, Found]()
    ids, payloads = {*already}, set[str]()
    losses = [(Loss.EVERYTHING, 0), (Loss.BYTES, 0), (Loss.ZEROS, 0), *((Loss.RANDOM, n) for n in range(seeds))]
    # What is repaired a thousand times is told in the verdict.
    with _quiet("lakehouse"):
        for number, call in enumerate(calls):
            disk.apply(call)
            if call.kind is Kind.TELL:
                more_ids, more_payloads = acknowledge(call)
                if not more_ids and not more_payloads:
                    continue
                ids |= {*more_ids}
                payloads |= {*more_payloads}
            verdict.calls += call.kind not in (Kind.TELL, Kind.SYNC_BEGIN)
            for loss, seed in losses:
                found = _judge(disk.image(loss, seed * len(calls) + number), judged, scratch, ledger=ledger)
                _count(verdict, found, ids, payloads, loss, call)
    verdict.images, verdict.acknowledged = len(judged), len(ids) + len(payloads)
    _require_explained(disk.image(), read_image(root))
    return verdict


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    found = logging.getLogger(logger)
    before = found.level
    found.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        found.setLevel(before)


def _judge(image: Image, judged: dict[bytes, Found], scratch: Path, *, ledger: bool) -> Found:
    digest = hashlib.sha256(repr(sorted(image.items())).encode()).digest()
    if digest not in judged:
        place = scratch / "disk"
        write_image(image, place)
        judged[digest] = look(Lake(place / LAKE), ledger=ledger)
        shutil.rmtree(place)
    return judged[digest]


def _count(verdict: Verdict, found: Found, ids: set[str], payloads: set[str], loss: Loss, call: Call) -> None:
    lost = len(ids - found.ids.keys()) + len(payloads - found.payloads.keys())
    doubled = sum(n > 1 for counted in (found.ids, found.payloads) for n in counted.values())
    verdict.lost, verdict.doubled = max(verdict.lost, lost), max(verdict.doubled, doubled)
    verdict.mended.update(f"{loss}: {what}" for what in found.mended)
    if found.unreadable:
        verdict.unreadable[loss] += 1
    if lost or doubled or found.unreadable:
        cut = f"{loss}, cut after {call.kind} {call.path} {call.target}".rstrip()
        verdict.examples.append(f"{cut}: {lost} lost, {doubled} twice, {found.unreadable or 'readable'}")


def look(lake: Lake, *, ledger: bool) -> Found:
    """Start up on a lake as the writer does, then read every row with deltalake and with Polars."""
    try:
        lake.prepare()
        repaired = [r.what for table in (BRONZE_TRANSACTIONS, QUARANTINE) for r in repair(lake, table)]
        known = len(recover(lake, IngestSettings(), datetime.now(UTC)).ledger) if ledger else None
        mended = tuple(what for what in repaired if what != _SIDE_EFFECT)
        ids, payloads = _values(lake, BRONZE_TRANSACTIONS, _KEY), _values(lake, QUARANTINE, "payload")
        found = Found(Counter(ids), Counter(payloads), mended)
        if known not in (None, found.ids.total()):
            return replace(found, unreadable=f"the ledger knows {known} of {found.ids.total()} rows")
        return found
    except (LakehouseError, BenchError) as error:
        return Found(Counter(), Counter(), unreadable=str(error).replace(str(lake.root), LAKE))


def _values(lake: Lake, table: Table, column: str) -> Iterator[str]:
    """A column as both readers see it.

    Raises:
        BenchError: They do not see the same.
        LakehouseError: It cannot be read.
    """
    delta = lake.open(table)
    if delta is None:
        return
    files = delta.file_uris()
    try:
        by_arrow = sorted(delta.to_pyarrow_table(columns=[column])[column].to_pylist())
        by_polars = sorted(pl.scan_parquet(files).select(column).collect()[column].to_list()) if files else []
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise BenchError(f"{table.full_name} cannot be read: {error}") from None
    if by_arrow != by_polars:
        raise BenchError(f"deltalake and Polars disagree about {table.full_name}")
    yield from by_arrow


def _require_explained(model: Image, there: Image) -> None:
    wrong = sorted(path for path in {*model, *there} if model.get(path, 0) != there.get(path, 0))
    if wrong:
        raise BenchError(f"the calls seen do not explain what is on the disk: {', '.join(wrong[:5])}")
