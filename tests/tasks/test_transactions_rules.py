"""Generated transactions against the rules of docs/detection.md, in SQL that shares no code with the generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from lake.settings import TransactionSettings
from tasks.transactions import generate_file

# Ten earlier ones lie in the window when the tenth before does; equal stamps stand in the order of ids.
VELOCITY = """
    select transaction_id from rows
    qualify lag(occurred_at, 10) over (partition by account_id order by occurred_at, transaction_id)
        > occurred_at - interval 60 seconds
"""
VERY_HIGH_AMOUNT = "select transaction_id from rows where amount > 10000.00"
# Sums of whole cents are exact: z is that of exact arithmetic, rounded as the paper says.
HIGH_AMOUNT = """
    with cents as (
        select transaction_id, account_id, (amount * 100)::hugeint as x from rows
    ), others as (
        select *, count(*) over account - 1 as n, sum(x) over account - x as s,
            sum(x * x) over account - x * x as q
        from cents window account as (partition by account_id)
    )
    select transaction_id from others
    where n >= 10 and n * q > s * s
        and round((n * x - s)::double / sqrt((n * (n * q - s * s))::double / (n - 1)), 9) > 3
"""
FREQUENCY = """
    with days as (
        select account_id, occurred_at::date as day, count(*) as x from rows group by all
    ), spans as (
        select *, max(day) over account - min(day) over account as n,
            sum(x) over account - x as s, sum(x * x) over account - x * x as q
        from days window account as (partition by account_id)
    ), fired as (
        select account_id, day from spans
        where x >= 10 and n >= 14 and if(n * q > s * s,
            round((n * x - s)::double / sqrt((n * (n * q - s * s))::double / (n - 1)), 9) > 3, x * n > 2 * s)
    )
    select transaction_id from rows join fired on rows.account_id = fired.account_id and occurred_at::date = day
"""
RULES = {
    "velocity": VELOCITY,
    "very_high_amount": VERY_HIGH_AMOUNT,
    "high_amount": HIGH_AMOUNT,
    "frequency": FREQUENCY,
}
RICH = TransactionSettings(
    count=60_000,
    rows_per_account=60,
    burst_share=0.02,
    busy_day_share=0.02,
    decoy_share=0.02,
    out_of_line_share=0.002,
    very_high_share=0.001,
)


@dataclass(frozen=True)
class Judged:
    """Generated rows, what the rules say of them, and what is true."""

    database: duckdb.DuckDBPyConnection

    def ids(self, select: str) -> set[str]:
        return {row[0] for row in self.database.sql(select).fetchall()}

    def fired(self, rule: str) -> set[str]:
        return self.ids(RULES[rule])

    def true(self, rule: str) -> set[str]:
        return self.ids(f"select transaction_id from truth where rule = '{rule}'")

    def because(self, why: str) -> set[str]:
        return self.ids(f"select transaction_id from truth where why = '{why}'")


def judge(settings: TransactionSettings, folder: Path) -> Judged:
    written = generate_file(settings, folder / "t.parquet")
    database = duckdb.connect(config={"threads": 1})
    # Moments as plain UTC timestamps: DuckDB's arithmetic on zoned ones needs an extension.
    moment = "make_timestamp(epoch_us(occurred_at)) as occurred_at"
    database.sql(f"create table rows as select * replace ({moment}) from read_parquet('{written.path}')")
    database.sql(f"create view truth as from read_parquet('{written.truth_path}')")
    return Judged(database)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    """A feed with many of every injection."""
    judged = judge(RICH, tmp_path_factory.mktemp("rich"))
    yield judged
    judged.database.close()


EXACT_RULES = ("velocity", "very_high_amount", "frequency")
SETTINGS = {
    "the default rates": TransactionSettings(count=200_000),
    "one account with a tenth of all rows": TransactionSettings(count=100_000, hot_accounts=1, hot_share=0.1),
    "hot accounts as busy as they may be": TransactionSettings(
        count=800_000, days=30, hot_accounts=2, hot_share=0.5, rows_per_account=90
    ),
    "many days, few rows an account": TransactionSettings(
        count=30_000, days=400, rows_per_account=50, burst_share=0.05, busy_day_share=0.05, decoy_share=0.05
    ),
    "as many rows an account and day as may be": TransactionSettings(
        count=60_000, days=30, rows_per_account=90, burst_share=0.03, busy_day_share=0.03, decoy_share=0.03
    ),
    "amounts out of line in every account": TransactionSettings(
        count=20_000, out_of_line_share=0.05, very_high_share=0.05, burst_share=0.02
    ),
}


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_what_fires_is_exactly_what_was_injected(rich: Judged, rule: str) -> None:
    assert rich.fired(rule) == rich.true(rule)
    assert len(rich.true(rule)) > 50


@pytest.mark.parametrize("name", SETTINGS)
def test_what_fires_is_exactly_what_was_injected_under_other_settings(tmp_path: Path, name: str) -> None:
    judged = judge(SETTINGS[name], tmp_path)
    for rule in EXACT_RULES:
        assert judged.fired(rule) == judged.true(rule), rule
    judged.database.close()


def test_every_injected_high_amount_fires_and_natural_ones_rarely(rich: Judged) -> None:
    fired, true = rich.fired("high_amount"), rich.true("high_amount")
    assert len(true) > 150
    assert true <= fired
    assert len(fired - true) < 0.002 * RICH.count


def test_no_decoy_fires_what_it_stands_before(rich: Judged) -> None:
    for why in ("ten_in_a_minute", "burst_of_60_seconds", "burst_of_61_seconds"):
        assert rich.because(why)
        assert not rich.because(why) & rich.fired("velocity"), why
    assert not rich.because("exactly_10000") & (rich.fired("very_high_amount") | rich.fired("high_amount"))
    assert not rich.because("z_exactly_3") & rich.fired("high_amount")
    assert rich.true("none") == rich.because("exactly_10000") | rich.because("z_exactly_3")


def test_a_cent_beyond_a_boundary_fires_that_rule_alone(rich: Judged) -> None:
    above, fired = rich.because("just_above_10000"), rich.fired("high_amount")
    assert above
    assert above <= rich.fired("very_high_amount") - fired
    assert rich.because("z_just_above_3") <= fired - rich.fired("very_high_amount")
    amounts = "select distinct amount from rows join truth using (transaction_id) where why = 'just_above_10000'"
    assert rich.database.sql(amounts).fetchall() == [(Decimal("10000.01"),)]


def test_decoys_lie_on_the_boundary(rich: Judged) -> None:
    spans = rich.database.sql("""
        select why, count(*) as rows, date_diff('us', min(occurred_at), max(occurred_at)) / 1e6 as seconds
        from rows join truth using (transaction_id)
        where why in ('ten_in_a_minute', 'burst_of_60_seconds', 'burst_of_61_seconds')
        group by why, account_id
    """).fetchall()
    found = {(why, rows): seconds for why, rows, seconds in spans if why != "ten_in_a_minute"}
    assert found == {("burst_of_60_seconds", 11): 60.0, ("burst_of_61_seconds", 11): 61.0}
    tens = [(rows, seconds) for why, rows, seconds in spans if why == "ten_in_a_minute"]
    assert all(rows == 10 and seconds < 60 for rows, seconds in tens)
    assert rich.ids("select transaction_id from rows where amount = 10000.00") == rich.because("exactly_10000")


def test_some_transactions_of_a_minute_share_their_stamp(rich: Judged) -> None:
    ties = "select count(*) - count(distinct occurred_at) from rows join truth using (transaction_id) where why = '{}'"
    for why in ("card_testing", "ten_in_a_minute"):
        assert rich.database.sql(ties.format(why)).fetchall()[0][0] > 0, why


def test_the_first_ten_of_a_burst_fire_no_velocity(rich: Judged) -> None:
    sizes = rich.database.sql("""
        with testing as (
            select account_id, occurred_at::date as day, count(*) as fired
            from rows join truth using (transaction_id) where why = 'card_testing' group by all
        )
        select count(*) filter (where amount <= 5) - any_value(fired)
        from rows join testing on rows.account_id = testing.account_id and occurred_at::date = day
        group by rows.account_id
    """).fetchall()
    # A cheap coffee on the day of a burst may come on top.
    assert {row[0] for row in sizes} >= {10}
    assert min(row[0] for row in sizes) == 10


def test_amounts_out_of_line_stay_below_the_very_high(rich: Judged) -> None:
    [(largest, smallest)] = rich.database.sql("""
        select max(amount) filter (where why = 'out_of_line'), min(amount) filter (where why = 'very_high')
        from rows join truth using (transaction_id)
    """).fetchall()
    assert largest < 10_000 < smallest
