"""Transforming: nothing is lost, no key twice, the last received wins, and rejected rows say what was received."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.candidate import Balance, Candidate, Run
from lake.errors import ModelError
from lake.settings import PROJECT_ROOT, EngineSettings
from lake.tables import quarantine_of, table
from sql.engines.duckdb import DuckDBEngine
from sql.model import Model, load_models
from tasks.transform import transform

Row = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]
Build = Callable[..., Candidate]
RUN = Run("run-7", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC))
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return load_models(PROJECT_ROOT / "sql" / "models")


@pytest.fixture(scope="module")
def build(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """A candidate of a model over rows; sources not given have no files, ingest columns are filled in."""
    directory, numbers = tmp_path_factory.mktemp("build"), count()

    def write(name: str, rows: Rows) -> list[Path]:
        path = directory / f"{next(numbers)}.parquet"
        ingest = {"_ingested_at": MONDAY, "_source": "f.csv", "_batch_id": "b"}
        full = [{**ingest, "_line": line, **row} for line, row in enumerate(rows, 1)]
        pq.write_table(pa.Table.from_pylist(full, schema=table(name).schema), path)
        return [path]

    with DuckDBEngine(EngineSettings(threads=1), directory / "spill") as engine:

        def build(name: str, sources: Mapping[str, Rows], identity: str = "") -> Candidate:
            model = models[name]
            files = {n: write(n, sources[n]) if n in sources else [] for n in model.depends_on}
            return transform(engine, model, files, directory / "staging", RUN, identity)

        yield build


def rows_of(files: Sequence[Path], name: str) -> list[Row]:
    """Rows of staged files, whose columns and types must be the declared ones."""
    parts = [pq.read_table(f) for f in files]
    for part in parts:
        assert [(f.name, f.type) for f in part.schema] == [(f.name, f.type) for f in table(name).schema]
    return [row for part in parts for row in part.to_pylist()]


def plan(key: str | None, price: str = "1.00", **ingest: Any) -> Row:
    return {"plan_id": key, "name": "Plan", "monthly_price": Decimal(price), "tier": 1, **ingest}


def test_rows_are_split_into_published_duplicate_and_quarantined(build: Build) -> None:
    candidate = build("silver.plans", {"bronze.plans": [plan("a"), plan("b"), plan("a"), plan("c", "-1.00")]}, "id-1")
    assert candidate.balance == Balance(received=4, published=2, duplicates=1, quarantined=1)
    assert (candidate.table, candidate.mode, candidate.fingerprint) == ("silver.plans", "overwrite", "id-1")
    assert {r["plan_id"] for r in rows_of(candidate.files, "silver.plans")} == {"a", "b"}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"_batch_id": "z", "_line": 9}, {"_ingested_at": MONDAY + timedelta(days=1), "_line": 1}),
        ({"_batch_id": "a", "_line": 9}, {"_batch_id": "b", "_line": 1}),
        ({"_line": 9}, {"_line": 10}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("turned", [False, True])
def test_the_last_received_row_of_a_key_wins_wherever_it_lies(
    build: Build, earlier: Row, later: Row, turned: bool
) -> None:
    rows = [plan("a", "1.00", **earlier), plan("a", "2.00", **later)]
    candidate = build("silver.plans", {"bronze.plans": rows[::-1] if turned else rows})
    assert [r["monthly_price"] for r in rows_of(candidate.files, "silver.plans")] == [Decimal("2.00")]


def test_a_broken_row_does_not_displace_an_earlier_good_one(build: Build) -> None:
    candidate = build("silver.plans", {"bronze.plans": [plan("a", "1.00"), plan("a", "-2.00")]})
    assert candidate.balance == Balance(received=2, published=1, duplicates=0, quarantined=1)
    assert [r["monthly_price"] for r in rows_of(candidate.files, "silver.plans")] == [Decimal("1.00")]


def test_a_quarantined_row_keeps_what_was_received_and_every_rule(build: Build) -> None:
    received = {
        "invoice_id": "i1", "subscription_id": None, "user_id": 'a "b"',
        "issued_at": datetime(1, 2, 3, 4, 5, 6, 7, UTC),
        "period_start": date(2025, 3, 1), "period_end": date(2025, 3, 1), "amount": Decimal("-1234567890123456.70"),
        "_source": "invoices/x.csv", "_batch_id": "beef", "_line": 12,
    }  # fmt: skip
    candidate = build("silver.invoices", {"bronze.invoices": [received]})
    [row] = rows_of(candidate.quarantine_files, quarantine_of(table("silver.invoices")).full_name)
    assert json.loads(row.pop("payload")) == {
        "invoice_id": "i1", "subscription_id": None, "user_id": 'a "b"', "issued_at": "0001-02-03T04:05:06.000007Z",
        "period_start": "2025-03-01", "period_end": "2025-03-01", "amount": "-1234567890123456.70",
    }  # fmt: skip
    assert row == {
        "quarantine_id": hashlib.sha256(b"silver.invoices|beef|12").hexdigest(),
        "table_name": "silver.invoices",
        "rules": [
            "subscription_id_missing", "user_id_dangling", "issued_at_out_of_range",
            "period_end_not_after_period_start", "amount_out_of_range",
        ],
        "_source": "invoices/x.csv", "_batch_id": "beef", "_line": 12,
        "run_id": "run-7", "quarantined_at": RUN.at,
    }  # fmt: skip


def test_codes_are_quarantined_as_received_not_as_conformed(build: Build) -> None:
    received = {"channel_id": "c", "name": "n", "kind": " PAYED "}
    candidate = build("silver.marketing_channels", {"bronze.marketing_channels": [received]})
    [row] = rows_of(candidate.quarantine_files, "quarantine.silver_marketing_channels")
    assert json.loads(row["payload"]) == received


DIRTY = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from(["", "a", "b", "c", "d"])),
        st.sampled_from(["-1.00", "1.00"]),
        st.sampled_from(["b1", "b2", "b3"]),
        st.integers(0, 2),
    ),
    max_size=30,
)


@settings(max_examples=40)
@given(dirty=DIRTY)
def test_received_rows_balance_and_each_key_is_published_once_as_received_last(
    build: Build, dirty: list[tuple[str | None, str, str, int]]
) -> None:
    rows = [
        plan(key, price, name=str(line), _batch_id=batch, _ingested_at=MONDAY + timedelta(days=days), _line=line)
        for line, (key, price, batch, days) in enumerate(dirty, 1)
    ]
    candidate = build("silver.plans", {"bronze.plans": rows})
    published = rows_of(candidate.files, "silver.plans")
    quarantined = rows_of(candidate.quarantine_files, "quarantine.silver_plans")
    good = [r for r in rows if r["plan_id"] and r["monthly_price"] > 0]
    last = {
        r["plan_id"]: r["name"] for r in sorted(good, key=lambda r: (r["_ingested_at"], r["_batch_id"], r["_line"]))
    }
    assert candidate.balance.holds
    assert candidate.balance == Balance(len(rows), len(last), len(good) - len(last), len(rows) - len(good))
    assert {r["plan_id"]: r["name"] for r in published} == last
    assert len(published) == len(last)
    assert Counter(r["_line"] for r in quarantined) == Counter(r["_line"] for r in rows if r not in good)


def test_no_rows_make_a_candidate_without_files(build: Build, models: dict[str, Model]) -> None:
    for name in models:
        candidate = build(name, {})
        assert (candidate.files, candidate.quarantine_files, candidate.balance) == ((), (), Balance(0, 0, 0, 0))


def test_a_second_attempt_leaves_nothing_of_the_first(build: Build) -> None:
    build("silver.plans", {"bronze.plans": [plan("a"), plan("a"), plan("b", "-1.00")]})
    candidate = build("silver.plans", {"bronze.plans": [plan("c")]})
    assert candidate.balance == Balance(1, 1, 0, 0)
    assert [r["plan_id"] for r in rows_of(candidate.files, "silver.plans")] == ["c"]
    assert candidate.quarantine_files == ()


def test_a_mart_is_written_as_its_select_says(build: Build) -> None:
    users = [{"user_id": u, "channel_id": "c", "first_seen_date": date(2025, 1, 9)} for u in "ab"]
    candidate = build("gold.conversion_funnel", {"silver.users": users})
    assert candidate.balance == Balance(5, 5, 0, 0)
    assert [r["users"] for r in rows_of(candidate.files, "gold.conversion_funnel") if r["step_number"] == 1] == [2]


def test_a_source_without_files_given_is_an_error_not_an_empty_table(models: dict[str, Model], tmp_path: Path) -> None:
    with DuckDBEngine(EngineSettings(threads=1), tmp_path) as engine, pytest.raises(ModelError, match=r"bronze\.plans"):
        transform(engine, models["silver.plans"], {}, tmp_path, RUN, "")


def test_a_sum_too_large_for_its_declared_type_is_refused(build: Build) -> None:
    huge = {"user_id": "u", "plan_id": "p", "start_date": date(2025, 1, 1), "is_active": True}
    sources = {
        "silver.events": [{"user_id": "u", "event_date": date(2025, 1, 1)}],
        "silver.users": [{"user_id": "u"}],
        "silver.plans": [{"plan_id": "p", "monthly_price": Decimal("9999999999999999.99")}],
        "silver.subscriptions": [huge, huge],
    }
    with pytest.raises(ModelError):
        build("gold.customer_health", sources)
