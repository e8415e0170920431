"""One group becomes one commit; repeats add nothing, contradictions are told, and a new writer knows all of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.rows.validation import as_text_table, check
from api.writer.appender import Appender
from api.writer.group import GroupCommit
from api.writer.protocol import (
    Batch,
    BatchCommitted,
    Committed,
    Conflict,
    RefusedRow,
    Reply,
    Request,
    Row,
    RowRefused,
    as_stream,
)
from api.writer.recovery import recover
from api.writer.rows_of_commit import QUARANTINE
from lake.durable import write_file
from lake.gated import PENDING, commits
from lake.lake import Lake
from lake.settings import IngestSettings
from lake.tables import BRONZE_TRANSACTIONS

USUAL = {
    "account_id": "a1",
    "merchant_id": "m1",
    "category": "grocery",
    "occurred_at": "2026-01-01T00:00:00Z",
    "amount": "1.50",
    "currency": "EUR",
    "channel": "online",
}


def values(name: str, **changes: str) -> tuple[str, ...]:
    return (name, *(USUAL | changes).values())


@dataclass
class Writer:
    """A writer's core without its socket; `again` makes the next one, as after a kill."""

    lake: Lake
    max_file_rows: int = 50_000
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.again()

    def again(self) -> None:
        name = f"w{next(self.numbers)}"
        known = recover(self.lake, IngestSettings(), datetime.now(UTC))
        bronze, quarantine = (
            Appender(self.lake, t, name, self.max_file_rows) for t in (BRONZE_TRANSACTIONS, QUARANTINE)
        )
        self.commit = GroupCommit(bronze, quarantine, known.ledger, known.keys, name, known.last_us)

    def __call__(self, *requests: Request) -> list[Reply]:
        """Answers in the order of the requests."""
        answers = {id(request): reply for request, reply in self.commit.carry_out(requests).answers}
        return [answers[id(request)] for request in requests]

    def rows(self) -> pl.DataFrame:
        if self.lake.open(BRONZE_TRANSACTIONS) is None:
            return pl.DataFrame(schema={"transaction_id": pl.String})
        return pl.read_delta(str(self.lake.path(BRONZE_TRANSACTIONS)))

    def quarantined(self) -> pl.DataFrame:
        return pl.read_delta(str(self.lake.path(QUARANTINE)))


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    lake = Lake(tmp_path / "lake")
    lake.prepare()
    return Writer(lake)


def row(name: str, *, key: str = "", digest: str = "", **changes: str) -> Row:
    return Row(0, "k1", key, digest, values(name, **changes))


def batch(
    *rows: tuple[str, ...], key: str = "", digest: str = "d", strict: bool = False, refused: Sequence[RefusedRow] = ()
) -> Batch:
    checked = check(as_text_table(rows))
    assert not checked.refused
    at = np.array([i for i in range(len(rows) + len(refused)) if i not in {r.index for r in refused}], np.int64)
    return Batch(
        0, "k1", key, digest, "req-1", strict, len(rows) + len(refused), 0, as_stream(checked.rows), at.tobytes(),
        tuple(refused),
    )  # fmt: skip


def test_requests_that_come_together_share_one_version_and_are_all_in_it(writer: Writer) -> None:
    first = writer(row("t1"), row("t2"), batch(values("t3"), values("t4")))
    assert first == [Committed(0, 0, False), Committed(0, 0, False), BatchCommitted(0, 0, 2, 0, 0, (), False)]
    rows = writer.rows()
    assert sorted(rows["transaction_id"]) == ["t1", "t2", "t3", "t4"]
    assert rows["_batch_id"].unique().to_list() == ["rest/00000000000000000000/w0"]
    assert sorted(rows["_line"]) == [1, 2, 3, 4]
    delta = DeltaTable(str(writer.lake.path(BRONZE_TRANSACTIONS)))
    assert (delta.version(), len(delta.file_uris())) == (0, 1)
    record = next(commits(writer.lake, BRONZE_TRANSACTIONS)).record
    assert record is not None
    assert (record.outcome, record.balance) == (PENDING, record.balance)
    assert record.balance is not None
    assert record.balance.holds


@pytest.mark.parametrize("restart", [False, True])
def test_a_repeat_gets_the_first_answer_and_adds_no_row(writer: Writer, restart: bool) -> None:
    writer(row("t1"))
    writer(row("t2", key="i2", digest="b2"))
    if restart:
        writer.again()
    assert writer(row("t1"), row("t2", key="i2", digest="b2"), row("t3")) == [
        Committed(0, 0, True),
        Committed(0, 1, True),
        Committed(0, 2, False),
    ]
    assert sorted(writer.rows()["transaction_id"]) == ["t1", "t2", "t3"]


@pytest.mark.parametrize("restart", [False, True])
def test_the_same_id_with_other_values_is_a_conflict(writer: Writer, restart: bool) -> None:
    writer(row("t1"))
    if restart:
        writer.again()
    assert writer(row("t1", amount="1.51")) == [Conflict(0, "transaction_id")]
    assert writer.rows().height == 1


@pytest.mark.parametrize("restart", [False, True])
def test_the_same_idempotency_key_with_another_body_is_a_conflict(writer: Writer, restart: bool) -> None:
    writer(row("t1", key="i", digest="b1"), batch(values("t2"), key="j", digest="b2"))
    if restart:
        writer.again()
    assert writer(row("t9", key="i", digest="b9"), batch(values("t9"), key="j", digest="b9")) == [
        Conflict(0, "idempotency_key"),
        Conflict(0, "idempotency_key"),
    ]
    assert writer.rows().height == 2


def test_twins_in_one_group_are_added_once_and_contradictions_are_told(writer: Writer) -> None:
    answers = writer(
        row("t1"), row("t1"), row("t1", amount="2"), batch(values("t1"), values("t2")), batch(values("t2", amount="7"))
    )
    assert answers == [
        Committed(0, 0, False),
        Committed(0, 0, True),
        Conflict(0, "transaction_id"),
        BatchCommitted(0, 0, 1, 1, 0, (), False),
        BatchCommitted(0, None, 0, 0, 1, (0,), False),
    ]
    assert sorted(writer.rows()["transaction_id"]) == ["t1", "t2"]


def test_the_same_key_twice_in_one_group_is_one_request(writer: Writer) -> None:
    twice = [row("t1", key="i", digest="b"), row("t1", key="i", digest="b"), row("t1", key="i", digest="x")]
    assert writer(*twice) == [Committed(0, 0, False), Committed(0, 0, True), Conflict(0, "idempotency_key")]


def test_what_silver_would_refuse_is_refused_with_its_field(writer: Writer) -> None:
    (good, bad) = writer(row("t1"), row("t2", currency="EURO", amount="-1"))
    assert good == Committed(0, 0, False)
    assert isinstance(bad, RowRefused)
    assert {b.pointer: b.rule for b in bad.broken} == {
        "#/amount": "amount_out_of_range", "#/currency": "currency_unknown",
    }  # fmt: skip


@pytest.mark.parametrize("restart", [False, True])
def test_refused_rows_of_a_batch_lie_in_quarantine_once(writer: Writer, restart: bool) -> None:
    writer(row("t1", amount="9.00"))
    sent = batch(
        values("t0"), values("t1"), key="i", digest="b", refused=[RefusedRow(1, ("amount_missing",), '{"broken": 1}')]
    )
    first = writer(sent)[0]
    assert first == BatchCommitted(0, 1, 1, 0, 2, (2,), False)
    if restart:
        writer.again()
    assert writer(sent)[0] == BatchCommitted(0, 1, 1, 0, 2, (2,), True)
    lying = writer.quarantined().sort("_line")
    assert lying["_line"].to_list() == [2, 3]
    assert lying["rules"].to_list() == [["amount_missing"], ["transaction_id_conflict"]]
    assert lying["payload"].to_list()[0] == '{"broken": 1}'
    assert '"transaction_id":"t1"' in lying["payload"].to_list()[1]
    assert lying["_source"].unique().to_list() == ["rest/k1/req-1/i"]


def test_killed_between_quarantine_and_rows_the_request_sent_again_ends_right(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = batch(values("t0"), digest="b", refused=[RefusedRow(1, ("amount_missing",), "{}")])

    def killed(*_: object) -> None:
        raise OSError(5, "killed")

    with monkeypatch.context() as patch:
        patch.setattr(writer.commit.bronze, "append", killed)
        with pytest.raises(OSError, match="killed"):
            writer(sent)
    writer.again()
    assert writer(sent) == [BatchCommitted(0, 0, 1, 0, 1, (), False)]
    assert writer.quarantined().height == 1


def test_a_strict_batch_with_a_conflict_adds_nothing_and_is_nobodys_twin(writer: Writer) -> None:
    writer(row("t1"))
    answers = writer(batch(values("t1", amount="3"), values("t2"), strict=True), batch(values("t2", amount="4")))
    assert answers == [Conflict(0, "transaction_id", (0,)), BatchCommitted(0, 1, 1, 0, 0, (), False)]
    assert sorted(writer.rows()["transaction_id"]) == ["t1", "t2"]


def test_a_repeat_is_told_its_own_version_and_a_new_row_the_next(writer: Writer) -> None:
    writer(row("t1"))
    writer(row("t2"))
    assert writer(row("t2"), row("t3")) == [Committed(0, 1, True), Committed(0, 2, False)]


def test_others_commit_in_between_and_nothing_is_lost(writer: Writer) -> None:
    writer(row("t1"))
    stranger = writer.rows().with_columns(pl.lit("s1").alias("transaction_id"))
    stranger.write_delta(str(writer.lake.path(BRONZE_TRANSACTIONS)), mode="append")
    assert writer(row("t2")) == [Committed(0, 2, False)]
    rows = writer.rows()
    assert sorted(rows["transaction_id"]) == ["s1", "t1", "t2"]
    assert rows.filter(pl.col("transaction_id") == "t2")["_batch_id"].item().startswith(f"rest/{2:020d}/")
    record = next(commits(writer.lake, BRONZE_TRANSACTIONS)).record
    assert record is not None
    assert not record.clean, "rows past the gate lie below"


def test_a_clock_set_back_does_not_turn_the_order_of_receipt(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    writer(row("t1"))
    monkeypatch.setattr("api.writer.group.time.time_ns", lambda: 10**18)
    writer(row("t2"))
    writer.again()
    writer(row("t3"))
    moments = writer.rows().sort("_ingested_at")
    assert moments["transaction_id"].to_list() == ["t1", "t2", "t3"]
    assert moments["_ingested_at"].n_unique() == 3


def test_a_disk_that_refuses_leaves_no_trace_and_the_next_try_succeeds(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer(row("t1"))
    for broken in ("api.writer.appender.write_file", "lake.durable.write_file"):
        with monkeypatch.context() as patch:
            patch.setattr(broken, _no_space)
            with pytest.raises(OSError, match="No space"):
                writer(row("t2"))
    before = {p.name for p in writer.lake.path(BRONZE_TRANSACTIONS).iterdir()}
    assert len([n for n in before if n.endswith(".parquet")]) == 1
    assert writer(row("t2")) == [Committed(0, 1, False)]


def test_many_rows_are_several_files_of_one_version(writer: Writer) -> None:
    writer.max_file_rows = 2
    writer.again()
    assert writer(batch(*(values(f"t{n}") for n in range(5)))) == [BatchCommitted(0, 0, 5, 0, 0, (), False)]
    delta = writer.lake.open(BRONZE_TRANSACTIONS)
    assert delta is not None
    assert sorted(pl.read_parquet(file).height for file in delta.file_uris()) == [1, 2, 2]
    rows = writer.rows().sort("_line")
    assert rows["transaction_id"].to_list() == [f"t{n}" for n in range(5)]
    assert rows["_line"].to_list() == [1, 2, 3, 4, 5]
    writer.again()
    assert writer(batch(*(values(f"t{n}") for n in range(6)))) == [BatchCommitted(0, 1, 1, 5, 0, (), False)]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_one_of_several_files_that_is_refused_takes_the_others_with_it(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    writer.max_file_rows = 2
    writer.again()
    writer(row("t0"))

    def write(path: Path, content: memoryview) -> None:
        if path.stem.endswith(f"-{failing}" if failing else "w1"):
            raise OSError(28, "No space left on device")
        write_file(path, content)

    sent = batch(*(values(f"t{n}") for n in range(1, 6)))
    with monkeypatch.context() as patch:
        patch.setattr("api.writer.appender.write_file", write)
        with pytest.raises(OSError, match="No space"):
            writer(sent)
    assert len([*writer.lake.path(BRONZE_TRANSACTIONS).glob("*.parquet")]) == 1
    assert writer(sent) == [BatchCommitted(0, 1, 5, 0, 0, (), False)]
    assert sorted(writer.rows()["transaction_id"]) == [f"t{n}" for n in range(6)]


def test_a_batch_that_was_read_ahead_is_answered_alike_and_let_go(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.writer.read_ahead._LARGE_ROWS", 2)
    twice = batch(values("t1"), values("t2"), key="k")
    repeat = batch(values("t1"), values("t2"), key="k")
    small = batch(values("t2"), digest="s")
    for sent in (twice, small, repeat):
        writer.commit.ahead.begin(sent)
    assert len(writer.commit.ahead) == 2
    first, other, again = writer(twice, small, repeat)
    assert (first, again) == (BatchCommitted(0, 0, 2, 0, 0, (), False), BatchCommitted(0, 0, 2, 0, 0, (), True))
    assert other == BatchCommitted(0, 0, 0, 1, 0, (), False)
    assert len(writer.commit.ahead) == 0


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


names = st.sampled_from([f"t{i}" for i in range(12)])
amounts = st.sampled_from(["1.00", "2.00"])
single = st.builds(lambda name, amount: ("row", [(name, amount)]), names, amounts)
many = st.dictionaries(names, amounts, min_size=1, max_size=5).map(lambda d: ("batch", list(d.items())))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(single | many, min_size=1, max_size=5), st.booleans()), max_size=6))
def test_whatever_comes_the_table_holds_each_id_once_with_its_first_values(
    tmp_path_factory: pytest.TempPathFactory, groups: list[tuple[list[tuple[str, list[tuple[str, str]]]], bool]]
) -> None:
    """Against a dictionary: the first value of an id stays, every answer says where it is, restarts change nothing."""
    lake = Lake(tmp_path_factory.mktemp("law") / "lake")
    lake.prepare()
    writer = Writer(lake, max_file_rows=2)
    table: dict[str, str] = {}
    for number, (group, restart) in enumerate(groups):
        requests: list[Request] = [
            row(rows[0][0], amount=rows[0][1]) if kind == "row"
            else batch(*(values(n, amount=a) for n, a in rows), digest=f"d{number}-{i}")
            for i, (kind, rows) in enumerate(group)
        ]  # fmt: skip
        # Single rows of a group are taken before its batches.
        in_order = sorted(
            zip(requests, group, writer(*requests), strict=True), key=lambda entry: entry[1][0] == "batch"
        )
        for _, (kind, rows), reply in in_order:
            first = {name: table.setdefault(name, amount) for name, amount in rows}
            contradicted = tuple(i for i, (name, amount) in enumerate(rows) if first[name] != amount)
            if kind == "row":
                assert isinstance(reply, Conflict) == bool(contradicted)
            else:
                assert isinstance(reply, BatchCommitted)
                assert reply.conflicts == contradicted
                assert reply.committed + reply.duplicates + reply.quarantined == len(rows)
        if restart:
            writer.again()
    stored = writer.rows()
    if table:
        found = {r["transaction_id"]: str(r["amount"]) for r in stored.select("transaction_id", "amount").to_dicts()}
        assert stored.height == len(found)
        assert found == table
