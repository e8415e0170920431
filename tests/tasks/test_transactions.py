"""Generated transactions: the same bytes from the same settings, exactly as many as asked for, nothing half-written."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lake.candidate import Run
from lake.errors import BadInputError, ConfigurationError, StorageError
from lake.settings import EngineSettings, LandSettings, TransactionSettings
from lake.tables.anomalies import TRANSACTION_TRUTH
from lake.tables.bronze import TRANSACTIONS
from sql.engines.duckdb import DuckDBEngine
from tasks.generation import row_groups
from tasks.generation.draws import Draws, Stream
from tasks.landing import land, pending_files
from tasks.transactions import batch_id, economy, feed, generate, generate_file, layout, stage_transactions

SMALL = TransactionSettings(count=20_000, days=40, rows_per_account=100, burst_share=0.01, very_high_share=0.001)
RUN = Run("run-1", datetime(2026, 4, 2, 3, 4, 5, 678901, tzinfo=UTC))
PAYLOAD = [c.name for c in TRANSACTIONS.payload]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def generated(settings: TransactionSettings, target: Path) -> pl.DataFrame:
    return pl.read_parquet(generate_file(settings, target).path)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Parquet file of 20,000 transactions."""
    return generate_file(SMALL, tmp_path_factory.mktemp("small") / "t.parquet").path


def several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "BLOCK_ACCOUNTS", 30)
    monkeypatch.setattr(feed, "_BLOCKS_IN_MEMORY", 2)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
@pytest.mark.parametrize("blocks", [1, 7])
def test_chunks_and_threads_change_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, blocks: int
) -> None:
    if blocks > 1:
        several_blocks(monkeypatch)
    digests = set()
    for chunk_rows, threads in ((1_000, 1), (5_000, 3), (10_000_000, 4)):
        settings = SMALL.model_copy(update={"chunk_rows": chunk_rows, "threads": threads})
        written = generate_file(settings, tmp_path / name)
        digests.add((digest(written.path), digest(written.truth_path)))
    assert len(digests) == 1


def test_another_seed_gives_other_transactions(small: Path, tmp_path: Path) -> None:
    other = generated(SMALL.model_copy(update={"seed": 43}), tmp_path / "t.parquet")
    same = (other["amount"] == pl.read_parquet(small)["amount"]).mean()
    assert isinstance(same, float)
    assert same < 0.01


def test_blocks_of_accounts_change_nothing_that_is_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several_blocks(monkeypatch)
    rows = generated(SMALL, tmp_path / "t.parquet")
    assert rows.height == SMALL.count
    assert rows["transaction_id"].is_sorted()
    assert rows["occurred_at"].dt.date().is_sorted()
    days = rows.group_by("account_id", pl.col("occurred_at").dt.date()).len()
    truth = pl.read_parquet(tmp_path / "t.truth.parquet")
    unusual = rows.join(truth.filter(pl.col("rule") == "frequency"), on="transaction_id", how="semi")
    crowded = unusual.group_by("account_id", pl.col("occurred_at").dt.date()).len()
    assert days.filter(pl.col("len") >= 10).sort("account_id").equals(crowded.sort("account_id"))


@given(
    count=st.integers(1_000, 6_000),
    days=st.integers(30, 120),
    rows_per_account=st.integers(50, 400),
    hot_accounts=st.integers(0, 9),
    hot_share=st.floats(0, 0.5),
    shares=st.tuples(*[st.floats(0, 0.05)] * 5),
)
@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
def test_there_are_exactly_as_many_as_asked_for_whatever_the_settings(
    count: int, days: int, rows_per_account: int, hot_accounts: int, hot_share: float, shares: tuple[float, ...]
) -> None:
    names = ("burst_share", "out_of_line_share", "very_high_share", "busy_day_share", "decoy_share")
    settings = TransactionSettings(
        count=count,
        days=days,
        rows_per_account=rows_per_account,
        hot_accounts=hot_accounts,
        hot_share=hot_share,
        **dict(zip(names, shares, strict=True)),  # type: ignore[arg-type]
    )
    try:
        whole = feed.Feed(settings)
    except ConfigurationError:
        assume(False)
    cells = [whole.draw(cell) for cell in range(whole.cells)]
    assert [len(cell.account) for cell in cells] == [whole.rows(cell) for cell in range(whole.cells)]
    assert sum(len(cell.account) for cell in cells) == count


@given(
    weights=st.lists(st.floats(0.05, 4.0), min_size=1, max_size=60),
    mean=st.floats(0, 6.5),
    seed=st.integers(0, 1_000),
)
@example(weights=[4.0, *[0.05] * 20], mean=6.0, seed=1)
def test_rows_of_a_day_are_apportioned_exactly_and_below_an_unusual_day(
    weights: list[float], mean: float, seed: int
) -> None:
    total = int(mean * len(weights))
    counts = feed.apportioned(Draws(seed, Stream.TRANSACTIONS, 0), np.array(weights), total)
    assert counts.sum() == total
    assert counts.min() >= 0
    assert counts.max() <= 8


def test_rows_have_the_declared_columns_and_come_in_the_order_of_time(small: Path) -> None:
    table = pq.read_table(small)
    assert {name: table.schema.field(name).type for name in table.column_names} == {
        c.name: c.type for c in TRANSACTIONS.payload
    }
    rows = pl.DataFrame(table)
    assert rows["occurred_at"].is_sorted()
    assert rows["transaction_id"].to_list() == [f"t{number:012d}" for number in range(SMALL.count)]
    assert rows["account_id"].str.contains(r"^a\d{8}$").all()
    assert rows["merchant_id"].str.contains(r"^m\d{8}$").all()
    assert rows.null_count().sum_horizontal().item() == 0
    assert set(rows["category"].unique()) <= {c.name for c in economy.CATEGORIES}
    assert set(rows["currency"].unique()) == set(economy.CURRENCIES)
    assert set(rows["channel"].unique()) == set(economy.CHANNELS)
    assert rows["occurred_at"].dt.date().n_unique() == SMALL.days
    assert rows["occurred_at"].dt.date().min() == SMALL.start


def test_truth_has_the_declared_columns_and_is_counted_by_rule(tmp_path: Path) -> None:
    written = generate_file(SMALL, tmp_path / "t.parquet")
    truth = pq.read_table(written.truth_path)
    assert truth.schema.equals(TRANSACTION_TRUTH.schema)
    frame = pl.DataFrame(truth)
    assert not frame.select("transaction_id", "rule").is_duplicated().any()
    assert dict(frame.group_by("rule").len().iter_rows()) == written.truth
    assert frame["transaction_id"].is_in(pl.read_parquet(written.path)["transaction_id"].implode()).all()


def test_injections_take_their_shares(tmp_path: Path) -> None:
    settings = TransactionSettings(count=300_000, burst_share=0.01, busy_day_share=0.01, decoy_share=0.005)
    rows = generated(settings, tmp_path / "t.parquet")
    truth = pl.read_parquet(tmp_path / "t.truth.parquet").join(rows, on="transaction_id")
    by_why = dict(truth.filter(pl.col("rule") != "very_high_amount").group_by("why").len().iter_rows())
    assert by_why["out_of_line"] == settings.out_of_line_share * settings.count
    assert by_why["very_high"] == settings.very_high_share * settings.count
    tests = truth.filter(pl.col("why") == "day_of_card_testing", pl.col("amount") <= 5).height
    assert tests / settings.count == pytest.approx(settings.burst_share, rel=0.1)
    # Two natural transactions come on top on such a day.
    busy = truth.filter(pl.col("why") == "busy_day").height
    assert busy / settings.count == pytest.approx(settings.busy_day_share * 26 / 24, rel=0.1)
    decoys = {
        "ten_in_a_minute": 10,
        "burst_of_60_seconds": 11,
        "burst_of_61_seconds": 11,
        "exactly_10000": 1,
        "z_exactly_3": 1,
    }
    groups = [by_why[why] / rows for why, rows in decoys.items()]
    assert max(groups) - min(groups) <= 1


def test_without_shares_nothing_is_injected(tmp_path: Path) -> None:
    nothing = dict.fromkeys((n for n in TransactionSettings.model_fields if n.endswith("_share")), 0.0)
    written = generate_file(SMALL.model_copy(update=nothing), tmp_path / "t.parquet")
    assert written.truth == {}
    assert pq.read_table(written.truth_path).schema.equals(TRANSACTION_TRUTH.schema)


def test_hot_accounts_have_their_share_and_the_same_number_every_day(tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"hot_accounts": 2, "hot_share": 0.2})
    days = generated(settings, tmp_path / "t.parquet").group_by("account_id", pl.col("occurred_at").dt.date()).len()
    hot = days.filter(pl.col("account_id").is_in(days.filter(pl.col("len") == 50)["account_id"].implode()))
    assert hot["account_id"].n_unique() == 2
    assert set(hot["len"]) == {50}
    assert hot.height == 2 * settings.days


def test_a_hot_account_is_held_to_what_fires_no_velocity(tmp_path: Path) -> None:
    settings = TransactionSettings(count=900_000, days=30, rows_per_account=90, hot_accounts=1, hot_share=0.5)
    largest = generated(settings, tmp_path / "t.parquet").group_by("account_id").len()["len"].max()
    assert largest == layout.MOST_HOT_ROWS_A_DAY * 30


def test_merchants_are_of_uneven_size_and_accounts_have_their_own(small: Path) -> None:
    rows = pl.read_parquet(small)
    sizes = rows.group_by("merchant_id").len().sort("len", descending=True)["len"]
    assert sizes.head(5).sum() > 10 * sizes.tail(len(sizes) // 2).sum() / (len(sizes) // 2) * 5
    own = rows.group_by("account_id", "merchant_id").len().sort("len", descending=True)
    share = own.group_by("account_id").agg(pl.col("len").head(economy.HOME_MERCHANTS).sum() / pl.col("len").sum())
    assert share["len"].median() > 0.9  # type: ignore[operator]


def test_the_text_of_a_csv_file_is_exact(tmp_path: Path, small: Path) -> None:
    lines = generate_file(SMALL, tmp_path / "t.csv").path.read_text().splitlines()
    first = pl.read_parquet(small).row(0, named=True)
    assert lines[0] == ",".join(PAYLOAD)
    assert len(lines) == SMALL.count + 1
    values = dict(zip(PAYLOAD, lines[1].split(","), strict=True))
    assert values["occurred_at"] == first["occurred_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert values["amount"] == str(first["amount"])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_generated_file_lands_as_the_staged_rows(tmp_path: Path, suffix: str) -> None:
    inbox = tmp_path / "inbox"
    generate_file(SMALL, inbox / "transactions" / f"t{suffix}")
    (inbox / "transactions" / "t.truth.parquet").unlink()
    with DuckDBEngine(EngineSettings(), tmp_path / "spill") as engine:
        pending = pending_files(inbox, TRANSACTIONS, lambda _: False, limit=10)
        landed = land(engine, TRANSACTIONS, pending, tmp_path / "staging", RUN, LandSettings())
    staged, _ = stage_transactions(SMALL, tmp_path / "staged", RUN)
    assert landed.balance.quarantined == 0
    # Landing keeps lines, not their order.
    bronze, expected = (pl.read_parquet(list(candidate.files)).sort("_line") for candidate in (landed, staged))
    assert bronze.select(PAYLOAD).equals(expected.select(PAYLOAD))


def test_staged_rows_say_where_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_groups, "ROW_GROUP_ROWS", 4_000)
    monkeypatch.setattr(generate, "FILE_ROWS", 8_000)
    candidate, truth = stage_transactions(SMALL, tmp_path, RUN)
    assert [pq.read_metadata(file).num_rows for file in candidate.files] == [8_000, 8_000, 4_000]
    assert all(pq.read_schema(file).equals(TRANSACTIONS.schema) for file in candidate.files)
    assert all(pq.read_schema(file).equals(TRANSACTION_TRUTH.schema) for file in truth)
    assert (candidate.table, candidate.mode, candidate.batches) == ("bronze.transactions", "append", (batch_id(SMALL),))
    assert candidate.balance.holds
    assert candidate.balance.published == SMALL.count
    rows = pl.read_parquet(list(candidate.files))
    assert rows["_line"].to_list() == list(range(1, SMALL.count + 1))
    assert set(rows["_source"]) == {"generated"}
    assert set(rows["_batch_id"]) == {batch_id(SMALL)}
    assert set(rows["_ingested_at"]) == {RUN.at}
    written = generate_file(SMALL, tmp_path / "t.parquet")
    assert rows.select(PAYLOAD).equals(pl.read_parquet(written.path))
    assert pl.read_parquet(list(truth)).equals(pl.read_parquet(written.truth_path))


def test_a_batch_is_named_by_what_decides_its_rows() -> None:
    assert batch_id(SMALL) == batch_id(SMALL.model_copy(update={"threads": 7, "chunk_rows": 1_234}))
    changes = {"seed": 1, "count": 20_001, "start": date(2026, 1, 2), "days": 91, "decoy_share": 0.0}
    others = {batch_id(SMALL.model_copy(update={name: value})) for name, value in changes.items()}
    assert len(others | {batch_id(SMALL)}) == 1 + len(changes)


def test_progress_rises_to_all_rows(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    generate_file(SMALL, tmp_path / "t.parquet", progress=lambda done, rows: told.append((done, rows)))
    assert told == sorted(told)
    assert told[-1] == (SMALL.count, SMALL.count)
    assert len(told) == SMALL.days


def test_another_suffix_is_refused_and_the_two_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"\.xlsx.*\.csv or \.parquet"):
        generate_file(SMALL, tmp_path / "t.xlsx")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(BadInputError, match="is a directory"):
        generate_file(SMALL, tmp_path / "t.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def fail(done: int, rows: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_failure_on_the_way_leaves_what_was_there(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("before")
    with pytest.raises(StorageError, match="No space left"):
        generate_file(SMALL, tmp_path / name, progress=fail)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "before"


def test_a_failure_on_the_way_leaves_nothing_staged(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No space left"):
        stage_transactions(SMALL, tmp_path, RUN, progress=fail)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        generate_file(SMALL, tmp_path / "file" / "t.csv")
    with pytest.raises(StorageError, match="cannot write"):
        stage_transactions(SMALL, tmp_path / "file", RUN)


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"rows_per_account": 400}, "transactions.rows_per_account", "at most 120"),
        ({"burst_share": 0.05, "busy_day_share": 0.05}, "burst_share", "lower them or rows_per_account"),
    ],
)
def test_settings_that_leave_no_room_are_refused(changes: dict[str, float], where: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        feed.Feed(SMALL.model_copy(update=changes))
    assert where in (refused.value.where or "")


def test_the_last_day_is_within_the_settings(small: Path) -> None:
    last = pl.read_parquet(small)["occurred_at"].max()
    assert isinstance(last, datetime)
    assert last.date() == SMALL.start + timedelta(days=SMALL.days - 1)
