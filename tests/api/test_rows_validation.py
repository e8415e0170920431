"""Rows at the door against what landing reads and silver refuses, in DuckDB, where the two are defined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.rows.rules import AS_TEXT, NAMES, TYPED
from api.rows.validation import Checked, as_text_table, check, check_typed
from lake.settings import PROJECT_ROOT, EngineSettings
from lake.tables import BRONZE_TRANSACTIONS
from sql.engines.duckdb import DuckDBEngine
from sql.model import load_models
from tasks.landing.chunk import text_rows
from tasks.landing.strict_types import ROW, RULES, StrictTypes

GOOD = {
    "transaction_id": "t-1",
    "account_id": "a-1",
    "merchant_id": "m-1",
    "category": "grocery",
    "occurred_at": "2026-01-31T09:30:00.123456Z",
    "amount": "12.30",
    "currency": "EUR",
    "channel": "online",
}
# Landing's limit is one of bytes for whole files; the door's is its own.
MANY_BYTES = 1 << 20

Row = dict[str, Any]
Judge = Callable[[pa.Table], list[set[str]]]
Land = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    with DuckDBEngine(EngineSettings(threads=1), tmp_path_factory.mktemp("spill")) as engine:
        yield engine


@pytest.fixture(scope="module")
def silver(engine: DuckDBEngine) -> Judge:
    """The rules silver's model says typed rows break."""
    model = load_models(Path(PROJECT_ROOT) / "sql" / "models")["silver.transactions"].sql
    cursor = engine.connection.cursor()
    cursor.execute("CREATE SCHEMA IF NOT EXISTS bronze")

    def judge(rows: pa.Table) -> list[set[str]]:
        numbered = rows.append_column("_line", pa.array(range(rows.num_rows), pa.int64()))
        cursor.register("typed_rows", numbered)
        cursor.execute(
            "CREATE OR REPLACE TABLE bronze.transactions AS "
            "SELECT *, now() AS _ingested_at, '' AS _source, '' AS _batch_id FROM typed_rows"
        )
        broken = cursor.execute(f"SELECT _broken_rules FROM ({model}\n) ORDER BY _line").fetchall()
        return [set(rules.split(",")) - {""} for (rules,) in broken]

    return judge


@pytest.fixture(scope="module")
def landing(engine: DuckDBEngine) -> Iterator[Land]:
    """Text rows as landing types them, in their order, with `_rules`."""
    with StrictTypes(engine, BRONZE_TRANSACTIONS, MANY_BYTES) as types:

        def land(rows: pa.Table) -> pa.Table:
            lines = pa.array(range(rows.num_rows), pa.int64())
            return types.convert(text_rows(BRONZE_TRANSACTIONS, rows.columns, lines)).sort_by(ROW)

        yield land


def as_table(rows: list[Row], schema: pa.Schema = AS_TEXT) -> pa.Table:
    return pa.Table.from_pylist(rows, schema)


def rules_of(checked: Checked, count: int) -> list[set[str]]:
    found: list[set[str]] = [set() for _ in range(count)]
    for position, errors in checked.refused:
        assert errors, "refused without a reason"
        assert all(e.pointer == "#/" + next(n for n in NAMES if e.rule.startswith(n + "_")) for e in errors)
        assert len({e.rule for e in errors}) == len(errors)
        found[position] = {e.rule for e in errors}
    return found


def of_field(rules: set[str], name: str) -> set[str]:
    return {rule for rule in rules if rule.startswith(f"{name}_")}


_spaces = st.sampled_from(["", " ", "\u00a0", "\t", "\n", "\u3000", "\u200b"])
_any_text = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["", " ", "\0"])
_long = st.sampled_from(["é" * 256, "é" * 257, "x" * 256, "x" * 257])
_word = st.builds(lambda a, w, b: a + w + b, _spaces, st.sampled_from(["grocery", "", "x"]), _spaces)
_currency = st.builds(
    lambda a, w, b: a + w + b,
    _spaces,
    st.sampled_from(["EUR", "eur", "Usd", "EU", "EURO", "E1R", "ÄÖÜ", "ı\u017f\u212a", "ßßß", "", "ﬀﬁ"]),
    _spaces,
)
_channel = st.builds(
    lambda a, w, b: a + w + b,
    _spaces,
    st.sampled_from(["online", "Online", "IN_STORE", "ONLİNE", "onlıne", "phone", "", "\u212a"]),
    _spaces,
)
_texts = {
    "transaction_id": _any_text | _long,
    "account_id": _any_text | _long,
    "merchant_id": _any_text,
    "category": _any_text | _word | _long,
    "currency": _any_text | _currency,
    "channel": _any_text | _channel,
}
_day = st.dates().map(str) | st.from_regex(
    r"(-?\d{4,6}|0000|1900|2000|2200)-(0\d|1[0-3])-([0-2]\d|3[0-2])", fullmatch=True
)
_clock = st.from_regex(r"[0-2]\d:[0-6]\d(:[0-6]\d(\.\d{1,8}0{0,3})?)?", fullmatch=True)
_zone = st.sampled_from(["Z", "", "z", "+01", "-0130", "+23:59", "-23:59", "+24:00", "+1", " Z", "Z ", "+01:60"])
_moment_text = (
    st.builds(lambda day, t, clock, zone: day + t + clock + zone, _day, st.sampled_from("T t_"), _clock, _zone)
    | st.builds(lambda day, t, zone: f"{day}{t}10:20:30{zone}", _day, st.sampled_from("T "), _zone)
    | st.datetimes().map(lambda m: m.isoformat() + "Z")
    | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
)
_moment = _any_text | _moment_text
_amount = (
    _any_text
    | st.from_regex(r"[+-]?0{0,40}\d{0,20}\.?\d{0,4}", fullmatch=True)
    | st.decimals(-(10**11), 10**17, places=2).map(str)
    | st.floats().map(repr)
    | st.sampled_from(["9999999999.99", "10000000000", "9999999999.999", "-0", "-0.01", "-.0", "1e3", "٣", "1_0", " 1"])
)
_any_row = st.fixed_dictionaries({**_texts, "occurred_at": _moment, "amount": _amount})
# Mostly good rows, so that a single field decides.
_text_row = _any_row | st.builds(lambda row, name: {**GOOD, name: row[name]}, _any_row, st.sampled_from(NAMES))
_typed_row = st.builds(
    lambda row, values, name: {**GOOD, **values, **({} if name is None else {name: row[name]})},
    st.fixed_dictionaries(_texts),
    st.fixed_dictionaries(
        {
            "occurred_at": st.none() | st.datetimes(timezones=st.just(UTC)),
            "amount": st.none() | st.decimals(-(10**16) + 1, 10**16 - 1, places=2),
        }
    ),
    st.none() | st.sampled_from(sorted(_texts)),
)
_OF_THE_DOOR = {f"{name}_{key}" for name in NAMES for key in ("too_long", "has_nul")}


@settings(max_examples=120, deadline=None)
@given(rows=st.lists(_text_row, min_size=1, max_size=20))
@example(rows=[GOOD])
@example(rows=[{**GOOD, "occurred_at": "2100-02-29T00:00:00Z"}, {**GOOD, "occurred_at": "2000-02-29T00:00:00Z"}])
@example(rows=[{**GOOD, "occurred_at": "2200-12-31T23:59:59.999999Z"}, {**GOOD, "occurred_at": "2201-01-01T00:00Z"}])
@example(rows=[{**GOOD, "occurred_at": "1900-01-01T00:30:00+00:30"}, {**GOOD, "occurred_at": "1900-01-01T00:00+00:01"}])
@example(rows=[{**GOOD, "occurred_at": f"2026-01-01T00:00:00.123456{'0' * 200}Z", "amount": f"{'0' * 200}1.5"}])
@example(rows=[{**GOOD, "occurred_at": f"2026-01-01T00:00:00.{'0' * 200}1Z", "amount": f"-{'0' * 200}"}])
def test_text_is_read_as_landing_reads_it_and_refused_where_silver_would(
    landing: Land, silver: Judge, rows: list[Row]
) -> None:
    table = as_table(rows)
    checked = check(table)
    landed = landing(table)
    at_the_door = rules_of(checked, len(rows))
    by_landing = [set(rules or ()) for rules in landed[RULES].to_pylist()]
    by_silver = silver(landed.select(NAMES))
    for door, file, later in zip(at_the_door, by_landing, by_silver, strict=True):
        for name in NAMES:
            here, there, refused_later = (of_field(rules, name) for rules in (door, file, later))
            here.discard(f"{name}_too_long")
            if there:
                assert there <= here
                # What landing could not type at all, silver cannot judge; the door says more at once.
                assert here - there <= {f"{name}_{key}" for key in ("out_of_range", "unknown", "missing")}
            else:
                assert here == refused_later
    kept = np.array([i for i, door in enumerate(at_the_door) if not door], np.int64)
    assert checked.kept.tolist() == kept.tolist()
    assert checked.rows.schema == TYPED
    assert checked.rows.to_pylist() == landed.select(NAMES).take(pa.array(kept)).to_pylist()


@settings(max_examples=120, deadline=None)
@given(rows=st.lists(_typed_row, min_size=1, max_size=20))
@example(rows=[{**GOOD, "occurred_at": datetime(1900, 1, 1, tzinfo=UTC), "amount": Decimal("9999999999.99")}])
@example(
    rows=[
        {
            **GOOD,
            "occurred_at": datetime(1900, 1, 1, tzinfo=UTC) - timedelta(microseconds=1),
            "amount": Decimal("10000000000"),
        }
    ]
)
def test_typed_rows_are_refused_exactly_where_silver_refuses_them(silver: Judge, rows: list[Row]) -> None:
    table = as_table(rows, TYPED)
    checked = check_typed(table)
    at_the_door = rules_of(checked, len(rows))
    assert [door - _OF_THE_DOOR for door in at_the_door] == silver(table)
    assert checked.kept.tolist() == [i for i, door in enumerate(at_the_door) if not door]
    assert checked.rows.to_pylist() == table.take(pa.array(checked.kept)).to_pylist()


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(_text_row, min_size=1, max_size=8))
def test_a_row_is_judged_alike_in_any_company(rows: list[Row]) -> None:
    together = check(as_table(rows))
    errors = dict(together.refused)
    for position, row in enumerate(rows):
        alone = check(as_table([row]))
        assert [found for _, found in alone.refused] == ([errors[position]] if position in errors else [])
    sliced = as_table([GOOD, *rows, GOOD]).slice(1, len(rows))
    assert check(sliced).rows == together.rows
    assert check(sliced).refused == together.refused
    chunked = pa.concat_tables([as_table([row]) for row in rows])
    assert check(chunked).rows == together.rows


def test_rows_in_typical_order_and_good_text_come_out_typed() -> None:
    rows = check(as_table([GOOD])).rows.to_pylist()
    moment = datetime(2026, 1, 31, 9, 30, 0, 123456, UTC)
    assert rows == [{**GOOD, "occurred_at": moment, "amount": Decimal("12.30")}]


def test_nothing_is_trimmed_or_changed_in_case() -> None:
    odd = {**GOOD, "category": " Grocery ", "currency": "eur ", "channel": "ONLINE"}
    (row,) = check(as_table([odd])).rows.to_pylist()
    assert {name: row[name] for name in ("category", "currency", "channel")} == {
        "category": " Grocery ",
        "currency": "eur ",
        "channel": "ONLINE",
    }


def test_every_broken_field_is_told_in_declared_order() -> None:
    wrong = {"transaction_id": "", "account_id": "x" * 300, "occurred_at": "2026-01-31 09:30", "amount": "1.005"}
    ((position, errors),) = check(as_table([{**GOOD, **wrong, "merchant_id": "m\0", "channel": "post"}])).refused
    assert position == 0
    assert [(e.pointer, e.rule) for e in errors] == [
        ("#/transaction_id", "transaction_id_missing"),
        ("#/account_id", "account_id_too_long"),
        ("#/merchant_id", "merchant_id_has_nul"),
        ("#/occurred_at", "occurred_at_has_no_zone"),
        ("#/amount", "amount_too_precise"),
        ("#/channel", "channel_unknown"),
    ]


def test_no_rows_are_no_error() -> None:
    for checked in (check(as_text_table([])), check_typed(TYPED.empty_table())):
        assert (checked.rows.num_rows, checked.kept.tolist(), checked.refused) == (0, [], [])
        assert checked.rows.schema == TYPED


def test_huge_values_end_quickly_as_errors() -> None:
    huge = "9" * 10_000_000
    rows = [{**GOOD, name: huge} for name in NAMES]
    checked = check(as_table(rows))
    assert [position for position, _ in checked.refused] == list(range(len(NAMES)))
    assert all(any(e.rule.endswith("_too_long") for e in errors) for _, errors in checked.refused)
