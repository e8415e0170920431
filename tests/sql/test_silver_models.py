"""Silver models: what passes, what is conformed, and which rules a row breaks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from lake.tables import SILVER, table
from sql.engines.duckdb import DuckDBEngine
from sql.model import Model

Evaluate = Callable[..., list[dict[str, Any]]]
Judge = Callable[..., dict[str, Any]]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOON = at("2025-03-01T12:00:00")
DAY = date(2025, 3, 1)
PARENTS: dict[str, dict[str, Any]] = {
    "silver.marketing_channels": {"channel_id": "c1"},
    "silver.users": {"user_id": "u1"},
    "silver.sessions": {"session_id": "s1"},
    "silver.plans": {"plan_id": "p1"},
    "silver.subscriptions": {"subscription_id": "sub1"},
    "silver.invoices": {"invoice_id": "i1"},
    "silver.payments": {"payment_id": "pay1"},
    "silver.experiment_assignments": {"assignment_id": "a1", "experiment_id": "x1", "user_id": "u1"},
}
GOOD: dict[str, dict[str, Any]] = {
    "users": {
        "user_id": "u9", "first_seen_at": NOON, "channel_id": "c1", "country": "DE", "device": "mobile", "name": "Ada",
    },
    "sessions": {
        "session_id": "s9", "user_id": "u1", "started_at": NOON, "ended_at": at("2025-03-01T12:01:01.999999"),
        "channel_id": "c1", "device": "tablet",
    },
    "events": {
        "event_id": "e9", "session_id": "s1", "user_id": "u1", "occurred_at": NOON, "event_type": "page_view",
        "latency_ms": 0,
    },
    "marketing_channels": {"channel_id": "c9", "name": "Search", "kind": "paid"},
    "marketing_spend": {
        "spend_id": "m9", "channel_id": "c1", "spend_date": DAY, "amount": Decimal("0.00"), "impressions": 7,
        "clicks": 7,
    },
    "plans": {"plan_id": "p9", "name": "Pro", "monthly_price": Decimal("0.00"), "tier": 1},
    "subscriptions": {
        "subscription_id": "sub9", "user_id": "u1", "plan_id": "p1", "started_at": NOON, "ended_at": NOON,
        "end_reason": "cancelled",
    },
    "invoices": {
        "invoice_id": "i9", "subscription_id": "sub1", "user_id": "u1", "issued_at": NOON, "period_start": DAY,
        "period_end": date(2025, 3, 2), "amount": Decimal("0.00"),
    },
    "payments": {
        "payment_id": "pay9", "invoice_id": "i1", "paid_at": NOON, "amount": Decimal("0.00"), "status": "succeeded",
        "method": "card",
    },
    "refunds": {
        "refund_id": "r9", "payment_id": "pay1", "refunded_at": NOON, "amount": Decimal("0.01"), "reason": "mistake",
    },
    "support_tickets": {
        "ticket_id": "t9", "user_id": "u1", "opened_at": NOON, "first_response_at": at("2025-03-01T12:01:59.9"),
        "resolved_at": at("2025-03-02T12:00:00"), "priority": "low", "category": "bug", "satisfaction": 5,
    },
    "experiment_assignments": {
        "assignment_id": "a9", "experiment_id": "x1", "user_id": "u1", "variant": "control", "assigned_at": NOON,
    },
    "experiment_exposures": {"exposure_id": "ex9", "experiment_id": "x1", "user_id": "u1", "exposed_at": NOON},
    "experiment_conversions": {"conversion_id": "cv9", "experiment_id": "x1", "user_id": "u1", "converted_at": NOON},
    "transactions": {
        "transaction_id": "t9", "account_id": "a1", "merchant_id": "m1", "category": "grocery", "occurred_at": NOON,
        "amount": Decimal("0.00"), "currency": "EUR", "channel": "online",
    },
}  # fmt: skip
DERIVED: dict[str, dict[str, Any]] = {
    "users": {"first_seen_date": DAY},
    "sessions": {"session_date": DAY, "duration_s": 61},
    "events": {"event_date": DAY},
    "marketing_channels": {"is_paid": True},
    "subscriptions": {"start_date": DAY, "end_date": DAY, "is_active": False},
    "invoices": {"issued_date": DAY},
    "payments": {"paid_date": DAY, "is_successful": True},
    "refunds": {"refunded_date": DAY},
    "transactions": {"transaction_date": DAY},
    "support_tickets": {"opened_date": DAY, "first_response_minutes": 1, "resolution_minutes": 1440},
}


@pytest.fixture
def judge(evaluate: Evaluate, models: dict[str, Model]) -> Judge:
    """The one row a silver model makes of a good bronze row with changes, its parents present."""

    def judge(table_name: str, /, **changed: Any) -> dict[str, Any]:
        model = f"silver.{table_name}"
        parents = {name: [row] for name, row in PARENTS.items() if name in models[model].depends_on}
        [row] = evaluate(model, {f"bronze.{table_name}": [{**GOOD[table_name], **changed}], **parents})
        return row

    return judge


@pytest.mark.parametrize("name", list(GOOD))
def test_a_good_row_breaks_no_rule_and_keeps_what_was_received(judge: Judge, name: str) -> None:
    row = judge(name)
    ingest = {"_ingested_at": at("2026-01-01"), "_source": "f.csv", "_batch_id": "b", "_line": 1}
    assert row == {**GOOD[name], **DERIVED.get(name, {}), **ingest, "_broken_rules": ""}


@pytest.mark.parametrize("name", list(GOOD))
def test_every_required_column_is_missed_by_name_and_no_other_rule_speaks_of_it(judge: Judge, name: str) -> None:
    columns = [c.name for c in table(f"bronze.{name}").payload]
    required = [c for c in columns if table(f"silver.{name}").column(c).required]
    row = judge(name, **dict.fromkeys(columns))
    assert row["_broken_rules"] == ",".join(f"{c}_missing" for c in required)


@pytest.mark.parametrize("name", list(GOOD))
def test_empty_text_is_missing_text(judge: Judge, name: str) -> None:
    texts = [c for c, value in GOOD[name].items() if isinstance(value, str)]
    required = [c for c in texts if table(f"silver.{name}").column(c).required]
    row = judge(name, **dict.fromkeys(texts, ""))
    assert row["_broken_rules"] == ",".join(f"{c}_missing" for c in required)


@pytest.mark.parametrize(
    ("name", "column", "given", "conformed"),
    [
        ("users", "country", " de ", "DE"),
        ("users", "device", " Mobile", "mobile"),
        ("sessions", "device", "DESKTOP", "desktop"),
        ("events", "event_type", "Page_View ", "page_view"),
        ("marketing_channels", "kind", "Email", "email"),
        ("subscriptions", "end_reason", " Plan_Change", "plan_change"),
        ("subscriptions", "end_reason", " ", None),
        ("payments", "status", "FAILED", "failed"),
        ("payments", "method", "Wallet ", "wallet"),
        ("refunds", "reason", "Fraud", "fraud"),
        ("support_tickets", "priority", "URGENT", "urgent"),
        ("support_tickets", "category", "How_To", "how_to"),
        ("experiment_assignments", "variant", "Treatment", "treatment"),
        ("transactions", "category", " Grocery", "grocery"),
        ("transactions", "currency", "eur ", "EUR"),
        ("transactions", "channel", "In_Store", "in_store"),
    ],
)
def test_codes_are_conformed_before_they_are_judged(
    judge: Judge, name: str, column: str, given: str, conformed: str | None
) -> None:
    row = judge(name, **{column: given})
    assert (row[column], row["_broken_rules"]) == (conformed, "")


BAD: list[tuple[str, dict[str, Any], str]] = [
    *[("users", {"country": c}, "country_unknown") for c in ("ZZ", "D", "DEU", "D1", "ÄÖ", "1")],
    *[
        (name, {column: "nonsense"}, f"{column}_unknown")
        for name, column in (
            ("users", "device"), ("sessions", "device"), ("events", "event_type"), ("marketing_channels", "kind"),
            ("subscriptions", "end_reason"), ("payments", "status"), ("payments", "method"), ("refunds", "reason"),
            ("support_tickets", "priority"), ("support_tickets", "category"), ("experiment_assignments", "variant"),
        )
    ],
    *[
        (name, {column: "nobody"}, f"{column}_dangling")
        for name, column in (
            ("users", "channel_id"), ("sessions", "user_id"), ("sessions", "channel_id"), ("events", "session_id"),
            ("events", "user_id"), ("marketing_spend", "channel_id"), ("subscriptions", "user_id"),
            ("subscriptions", "plan_id"), ("invoices", "subscription_id"), ("invoices", "user_id"),
            ("payments", "invoice_id"), ("refunds", "payment_id"), ("support_tickets", "user_id"),
            ("experiment_assignments", "user_id"),
        )
    ],
    ("experiment_exposures", {"experiment_id": "x2"}, "assignment_dangling"),
    ("experiment_conversions", {"experiment_id": "x2"}, "assignment_dangling"),
    ("experiment_exposures", {"user_id": "nobody"}, "user_id_dangling,assignment_dangling"),
    ("events", {"latency_ms": -1}, "latency_ms_out_of_range"),
    ("marketing_spend", {"amount": Decimal("-0.01")}, "amount_out_of_range"),
    ("marketing_spend", {"clicks": 8}, "clicks_out_of_range"),
    ("marketing_spend", {"clicks": -1}, "clicks_out_of_range"),
    ("marketing_spend", {"impressions": -1, "clicks": -1}, "impressions_out_of_range,clicks_out_of_range"),
    ("plans", {"monthly_price": Decimal("-0.01")}, "monthly_price_out_of_range"),
    ("plans", {"tier": 0}, "tier_out_of_range"),
    ("invoices", {"amount": Decimal("-0.01")}, "amount_out_of_range"),
    ("invoices", {"period_end": DAY}, "period_end_not_after_period_start"),
    ("payments", {"amount": Decimal("-0.01")}, "amount_out_of_range"),
    ("refunds", {"amount": Decimal("0.00")}, "amount_out_of_range"),
    ("support_tickets", {"satisfaction": 0}, "satisfaction_out_of_range"),
    ("support_tickets", {"satisfaction": 6}, "satisfaction_out_of_range"),
    ("support_tickets", {"first_response_at": at("2025-03-01T11:59:59.999999")}, "first_response_at_before_opened_at"),
    ("support_tickets", {"resolved_at": at("2025-02-01")}, "resolved_at_before_opened_at"),
    ("sessions", {"ended_at": at("2025-03-01T11:59:59.999999")}, "ended_at_before_started_at"),
    ("subscriptions", {"ended_at": at("2025-02-28")}, "ended_at_before_started_at"),
    ("transactions", {"amount": Decimal("-0.01")}, "amount_out_of_range"),
    ("transactions", {"amount": Decimal("10000000000.00")}, "amount_out_of_range"),
    ("transactions", {"channel": "nonsense"}, "channel_unknown"),
    *[("transactions", {"currency": c}, "currency_unknown") for c in ("EU", "EURO", "E1R", "ÄÖÜ", "123")],
]  # fmt: skip


@pytest.mark.parametrize(("name", "changed", "rules"), BAD)
def test_a_bad_value_breaks_its_rule(judge: Judge, name: str, changed: dict[str, Any], rules: str) -> None:
    assert judge(name, **changed)["_broken_rules"] == rules


MOMENTS = [(t.name, c, isinstance(v, datetime)) for t in SILVER for c, v in GOOD[t.name].items() if isinstance(v, date)]

YEARS = [(1, False), (1899, False), (1900, True), (2200, True), (2201, False), (9999, False)]


@pytest.mark.parametrize(("name", "column", "is_moment"), MOMENTS)
@pytest.mark.parametrize(("year", "fits"), YEARS)
def test_years_outside_1900_to_2200_are_out_of_range(
    judge: Judge, name: str, column: str, is_moment: bool, year: int, fits: bool
) -> None:
    value = at(f"{year:04}-06-30T23:59:59") if is_moment else date(year, 6, 30)
    rules = judge(name, **{column: value})["_broken_rules"].split(",")
    assert (f"{column}_out_of_range" in rules) is not fits


@pytest.mark.parametrize(("name", "began", "ended"), [
    ("sessions", "started_at", "ended_at"),
    ("support_tickets", "opened_at", "resolved_at"),
])  # fmt: skip
def test_a_span_too_long_for_microseconds_is_rejected_and_stops_nothing(
    judge: Judge, engine: DuckDBEngine, models: dict[str, Model], name: str, began: str, ended: str
) -> None:
    # Python's datetime ends in year 9999; DuckDB's timestamps, and so Parquet files, do not.
    judge(name)
    bronze = f"(SELECT * REPLACE (TIMESTAMPTZ '290000-01-01 (BC) 00:00:00+00' AS {began}, "
    bronze += f"TIMESTAMPTZ '290000-01-01 00:00:00+00' AS {ended}) FROM bronze.{name})"
    sql = models[f"silver.{name}"].sql.replace(f"bronze.{name}", bronze)
    [rules] = engine.query(f"SELECT _broken_rules FROM ({sql}\n)").column(0).to_pylist()
    assert {f"{began}_out_of_range", f"{ended}_out_of_range"} <= set(rules.split(","))


def test_a_row_names_every_rule_it_breaks_in_the_order_of_its_columns(judge: Judge) -> None:
    row = judge("users", user_id=None, channel_id="nobody", country="zz", device="fridge", name=None)
    assert row["_broken_rules"] == "user_id_missing,channel_id_dangling,country_unknown,device_unknown"


def test_a_running_subscription_has_no_end(judge: Judge) -> None:
    row = judge("subscriptions", ended_at=None, end_reason=None)
    assert (row["end_date"], row["is_active"], row["_broken_rules"]) == (None, True, "")


def test_an_open_ticket_has_no_waiting_times(judge: Judge) -> None:
    row = judge("support_tickets", first_response_at=None, resolved_at=None, satisfaction=None)
    assert (row["first_response_minutes"], row["resolution_minutes"], row["_broken_rules"]) == (None, None, "")


def test_ids_are_kept_as_received(judge: Judge) -> None:
    row = judge("plans", plan_id=" P 9 ")
    assert (row["plan_id"], row["_broken_rules"]) == (" P 9 ", "")


def test_two_assignments_of_one_user_do_not_double_an_exposure(evaluate: Evaluate) -> None:
    once = PARENTS["silver.experiment_assignments"]
    sources = {
        "bronze.experiment_exposures": [GOOD["experiment_exposures"]],
        "silver.experiment_assignments": [once, {**once, "assignment_id": "a2"}],
        "silver.users": [PARENTS["silver.users"]],
    }
    assert len(evaluate("silver.experiment_exposures", sources)) == 1


@pytest.mark.parametrize("name", list(GOOD))
def test_empty_tables_make_empty_tables(evaluate: Evaluate, name: str) -> None:
    assert evaluate(f"silver.{name}", {}) == []
