"""One group of requests becomes at most one commit of bronze, and an answer for each.

Exactly once: what the ledger knows is answered from it and adds nothing; what repeats inside the group is added once.
Refused rows go to quarantine in a commit of its own before the rows, so that a kill in between loses neither: the
request is sent again, and its refused rows are known by the digest of its body.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
import pyarrow as pa

from api.rows.rules import NAMES, TYPED
from api.rows.validation import as_text_table, check
from api.writer.appender import Appender
from api.writer.decision import Block, Decision, Rows, decide
from api.writer.keys_seen import KeyAnswer, KeysSeen
from api.writer.ledger import Ledger
from api.writer.protocol import (
    Batch,
    BatchCommitted,
    BrokenRule,
    Busy,
    Committed,
    Conflict,
    Reply,
    Request,
    Row,
    RowRefused,
    digest_of,
)
from api.writer.read_ahead import ReadAhead
from api.writer.rows_of_commit import RefusedRows, bronze_rows, quarantine_rows
from lake.candidate import Balance
from lake.rest_rows import quarantine_source, source
from lake.tables import BRONZE_TRANSACTIONS

# Requests of several callers may bear the same number.
Answer = tuple[Request, Reply]

KEY = BRONZE_TRANSACTIONS.key[0]
CONFLICT_RULE = f"{KEY}_conflict"
_US = 1_000_000
# Made here, as pyarrow's first conversion imports pandas where that is installed: for seconds, if it meets the load.
_NO_ROWS = TYPED.empty_table()


@dataclass(slots=True)
class Singles:
    """The single rows of a group that the door let in."""

    requests: list[Row]
    block: Block

    @property
    def sources(self) -> list[str]:
        new = np.flatnonzero(self.block.new).tolist()
        return [source(r.key, r.idempotency, r.digest) for r in map(self.requests.__getitem__, new)]


@dataclass(slots=True)
class Sent:
    """A batch of a group, and which of its rows go to quarantine."""

    request: Batch
    block: Block
    refused: list[tuple[int, tuple[str, ...], str]] = field(default_factory=list)
    conflicts: tuple[int, ...] = ()

    def settle(self) -> None:
        """Name the conflicts; call once the block is decided."""
        at = np.flatnonzero(self.block.conflicts)
        indexes = np.frombuffer(self.request.indexes, np.int64)
        self.conflicts = tuple(indexes[at].tolist())
        self.refused = [(row.index, row.rules, row.payload) for row in self.request.refused]
        if not self.request.strict:
            texts = _as_json(self.block.rows.take(pa.array(at)))
            self.refused += [(index, (CONFLICT_RULE,), text) for index, text in zip(self.conflicts, texts, strict=True)]


@dataclass(frozen=True, slots=True)
class Done:
    """What a group came to.

    Args:
        answers: Every request with its answer, in any order.
        balance: Where the rows went.
        lost_races: Commits that others made first.
    """

    answers: list[Answer]
    balance: Balance
    lost_races: int


class GroupCommit:
    """Turns groups of requests into commits and answers.

    Args:
        bronze: Appends to bronze.transactions.
        quarantine: Appends to its quarantine.
        ledger: Ids of the rows in the window.
        keys: Idempotency keys and quarantined bodies in the window.
        writer_id: Names this process.
        last_us: Moment of the newest commit, microseconds since 1970 UTC; no later one is before it.
    """

    def __init__(
        self, bronze: Appender, quarantine: Appender, ledger: Ledger, keys: KeysSeen, writer_id: str, last_us: int
    ) -> None:
        self.bronze, self._quarantine = bronze, quarantine
        self.ledger, self._keys, self._writer_id, self._last_us = ledger, keys, writer_id, last_us
        self.ahead = ReadAhead()

    def carry_out(self, requests: Sequence[Request]) -> Done:
        """Commit what is new among requests, and answer each.

        Raises:
            OSError, LakehouseError: See Appender.append: nothing new of the group is in bronze.
        """
        try:
            return self._carried_out(requests)
        finally:
            self.ahead.forget(requests)

    def _carried_out(self, requests: Sequence[Request]) -> Done:
        # The clock may be set back; the order of receipt may not.
        self._last_us = max(time.time_ns() // 1_000, self._last_us + 1)
        answers: list[Answer] = []
        fresh, repeats = self._sort_out(requests, answers)
        rows, table = self._let_in([r for r in fresh if isinstance(r, Row)], answers)
        batches = [r for r in fresh if isinstance(r, Batch)]
        of_singles = [Rows(table)] if rows else []
        of_batches = [self.ahead.take(b) for b in batches]
        decision = decide([*of_singles, *of_batches], KEY, self.ledger)
        singles = Singles(rows, decision.blocks[0]) if rows else None
        sent = [Sent(batch, block) for batch, block in zip(batches, decision.blocks[len(of_singles) :], strict=True)]
        for batch in sent:
            batch.settle()
            if batch.block.is_refused:
                conflict = Conflict(batch.request.seq, "transaction_id", batch.conflicts)
                answers.append((batch.request, conflict))
        sent = [s for s in sent if not s.block.is_refused]
        self._commit_quarantine(sent)
        balance, lost_races = self._commit_rows(singles, sent, decision)
        answers += self._answers_to_rows(singles) if singles else []
        answers += [(s.request, self._answer_to_batch(s)) for s in sent]
        answers += [(r, self._replayed(r) or Busy(r.seq, 1)) for r in repeats]
        return Done(answers, balance, lost_races)

    def _sort_out(
        self, requests: Sequence[Request], answers: list[Answer]
    ) -> tuple[list[Row | Batch], list[Row | Batch]]:
        """Answer what needs no commit; the rest is fresh, or repeats a key of this group and is answered after it."""
        fresh: list[Row | Batch] = []
        repeats: list[Row | Batch] = []
        digests: dict[str, str] = {}
        for request in requests:
            if not request.idempotency:
                fresh.append(request)
            elif (answer := self._replayed(request)) is not None:
                answers.append((request, answer))
            elif request.idempotency not in digests:
                digests[request.idempotency] = request.digest
                fresh.append(request)
            elif digests[request.idempotency] == request.digest:
                repeats.append(request)
            else:
                answers.append((request, Conflict(request.seq, "idempotency_key")))
        return fresh, repeats

    def _replayed(self, request: Row | Batch) -> Reply | None:
        """The first answer to an Idempotency-Key; None when the key is new."""
        first = self._keys.answer(request.idempotency)
        if first is None:
            return None
        if first.digest != request.digest:
            return Conflict(request.seq, "idempotency_key")
        if isinstance(request, Row):
            assert first.version is not None, "a row's key is remembered with its commit"
            return Committed(request.seq, first.version, repeated=True)
        duplicates = request.received - first.committed - first.quarantined
        return BatchCommitted(
            request.seq, first.version, first.committed, duplicates, first.quarantined, first.conflicts, replayed=True
        )

    def _let_in(self, requests: list[Row], answers: list[Answer]) -> tuple[list[Row], pa.Table]:
        """Single rows that break no rule, and them typed; the others are answered."""
        if not requests:
            return [], _NO_ROWS
        checked = check(as_text_table([r.values for r in requests]))
        for at, errors in checked.refused:
            broken = tuple(BrokenRule(e.pointer, e.rule, e.detail) for e in errors)
            answers.append((requests[at], RowRefused(requests[at].seq, broken)))
        kept = requests if not checked.refused else [requests[at] for at in checked.kept.tolist()]
        return kept, checked.rows

    def _commit_quarantine(self, sent: Sequence[Sent]) -> None:
        waiting: dict[str, RefusedRows] = {}
        for batch in sent:
            request = batch.request
            # Rows that came whole are as good as their body to know the request by.
            digest = request.digest or (digest_of(request.rows) if batch.refused else "")
            if batch.refused and not self._keys.is_quarantined(digest):
                where = quarantine_source(request.key, request.request_id, request.idempotency)
                waiting[digest] = RefusedRows(digest, where, batch.refused)
        if not waiting:
            return
        rows = quarantine_rows([*waiting.values()], self._writer_id, self._last_us)
        self._quarantine.append(lambda _: rows, Balance(rows.num_rows, rows.num_rows, 0, 0))
        for digest in waiting:
            self._keys.remember_quarantined(digest, self._last_us / _US)

    def _commit_rows(self, singles: Singles | None, sent: Sequence[Sent], decision: Decision) -> tuple[Balance, int]:
        blocks = [*([singles.block] if singles else []), *(s.block for s in sent)]
        parts: list[tuple[pa.Table, list[str] | str]] = []
        if singles:
            parts.append((_chosen(singles.block), singles.sources))
        for batch in sent:
            request = batch.request
            parts.append((_chosen(batch.block), source(request.key, request.idempotency, request.digest)))
        added = sum(rows.num_rows for rows, _ in parts)
        repeated = sum(int(np.count_nonzero(b.repeated)) for b in blocks) + sum(s.request.repeated for s in sent)
        quarantined = sum(len(s.refused) for s in sent)
        balance = Balance(added + repeated + quarantined, added, repeated, quarantined)
        if not added:
            return balance, 0
        moment_us = self._last_us
        done = self.bronze.append(lambda version: bronze_rows(parts, version, self._writer_id, moment_us), balance)
        self.ledger.add(decision.added(), done.version, moment_us / _US)
        return balance, done.lost_races

    def _answers_to_rows(self, singles: Singles) -> list[Answer]:
        block = singles.block
        versions = block.versions(self.bronze.version).tolist()
        answers: list[Answer] = []
        for request, version, new, repeated in zip(
            singles.requests, versions, block.new.tolist(), block.repeated.tolist(), strict=True
        ):
            if not new and not repeated:
                answers.append((request, Conflict(request.seq, "transaction_id")))
                continue
            answers.append((request, Committed(request.seq, version, repeated)))
            if request.idempotency:
                first = KeyAnswer(request.digest, version, int(new), int(repeated))
                self._keys.remember(request.idempotency, first, self._last_us / _US)
        return answers

    def _answer_to_batch(self, batch: Sent) -> Reply:
        request, block = batch.request, batch.block
        there = block.versions(self.bronze.version)[block.new | block.repeated]
        version = int(there.max()) if len(there) else None
        added, quarantined = int(np.count_nonzero(block.new)), len(batch.refused)
        duplicates = request.received - added - quarantined
        if request.idempotency:
            first = KeyAnswer(request.digest, version, added, duplicates, quarantined, batch.conflicts)
            self._keys.remember(request.idempotency, first, self._last_us / _US)
        return BatchCommitted(request.seq, version, added, duplicates, quarantined, batch.conflicts, replayed=False)


def _chosen(block: Block) -> pa.Table:
    return block.rows if block.new.all() else block.rows.filter(pa.array(block.new))


def _as_json(rows: pa.Table) -> list[str]:
    """Typed rows as JSON texts; money as text, moments with their zone."""
    columns = [rows.column(name).to_pylist() for name in NAMES]
    return [
        orjson.dumps(dict(zip(NAMES, values, strict=True)), default=str).decode()
        for values in zip(*columns, strict=True)
    ]
