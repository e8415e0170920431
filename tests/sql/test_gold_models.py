"""Marts on small inputs, with the figures worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.tables import MARTS

Evaluate = Callable[..., list[dict[str, Any]]]
Row = dict[str, Any]


def day(text: str) -> date:
    return date.fromisoformat(text)


def money(text: str) -> Decimal:
    return Decimal(text)


def event(user: str, on: str, kind: str = "page_view") -> Row:
    return {"event_id": f"{user}{on}{kind}", "user_id": user, "event_date": day(on), "event_type": kind}


@pytest.mark.parametrize("name", [t.full_name for t in MARTS])
def test_empty_tables_make_an_empty_mart(evaluate: Evaluate, name: str) -> None:
    assert evaluate(name, {}) == []


# daily_kpis ---------------------------------------------------------------------------------------------------------


def test_daily_kpis_of_three_days_with_a_quiet_one(evaluate: Evaluate) -> None:
    rows = evaluate("gold.daily_kpis", {
        "silver.events": [
            event("u1", "2025-02-28", "signup"), event("u1", "2025-02-28", "signup"), event("u2", "2025-02-28"),
            event("u2", "2025-03-02", "activation"),
        ],
        "silver.users": [{"first_seen_date": day("2025-02-28")}] * 4 + [{"first_seen_date": day("2024-01-01")}],
        "silver.sessions": [{"session_date": day("2025-03-01")}, {"session_date": day("2025-03-01")}],
        "silver.subscriptions": [
            {"user_id": "u1", "start_date": day("2025-03-02")}, {"user_id": "u1", "start_date": day("2025-03-01")},
            {"user_id": "u2", "start_date": day("2024-01-01")}, {"user_id": "u2", "start_date": day("2025-03-01")},
        ],
        "silver.payments": [
            {"paid_date": day("2025-03-02"), "amount": money("10.01"), "is_successful": True},
            {"paid_date": day("2025-03-02"), "amount": money("0.02"), "is_successful": True},
            {"paid_date": day("2025-03-02"), "amount": money("99.00"), "is_successful": False},
        ],
        "silver.refunds": [{"refunded_date": day("2025-03-02"), "amount": money("20.00")}],
        "silver.support_tickets": [{"opened_date": day("2025-02-28")}],
    })  # fmt: skip
    none: Row = {
        "active_users": 0, "weekly_active_users": 2, "new_users": 0, "sessions": 0, "events": 0, "signups": 0,
        "activations": 0, "new_subscriptions": 0, "collected": money("0.00"), "refunded": money("0.00"),
        "net_revenue": money("0.00"), "tickets_opened": 0, "signup_rate": None,
    }  # fmt: skip
    assert rows == [
        none | {"kpi_date": day("2025-02-28"), "active_users": 2, "new_users": 4, "events": 3, "signups": 1,
                "tickets_opened": 1, "signup_rate": 0.25},
        none | {"kpi_date": day("2025-03-01"), "sessions": 2, "new_subscriptions": 1},
        none | {"kpi_date": day("2025-03-02"), "active_users": 1, "events": 1, "activations": 1,
                "collected": money("10.03"), "refunded": money("20.00"), "net_revenue": money("-9.97")},
    ]  # fmt: skip


ACTIVE = st.sets(st.tuples(st.sampled_from(["u1", "u2", "u3"]), st.integers(0, 25)), min_size=1, max_size=30)


@settings(max_examples=40)
@given(active=ACTIVE)
def test_daily_kpis_have_every_day_and_weekly_users_are_those_of_seven_days(
    evaluate: Evaluate, active: set[tuple[str, int]]
) -> None:
    first = day("2025-02-20")
    rows = evaluate("gold.daily_kpis", {"silver.events": [event(u, str(first + timedelta(days=n))) for u, n in active]})
    numbers = range(min(n for _, n in active), max(n for _, n in active) + 1)
    assert [(r["kpi_date"], r["weekly_active_users"]) for r in rows] == [
        (first + timedelta(days=n), len({u for u, m in active if n - 6 <= m <= n})) for n in numbers
    ]


# conversion_funnel --------------------------------------------------------------------------------------------------


def test_a_step_counts_those_who_took_every_step_before_it(evaluate: Evaluate) -> None:
    rows = evaluate("gold.conversion_funnel", {
        "silver.users": [
            {"user_id": u, "channel_id": "c1", "first_seen_date": day("2025-02-27")} for u in ("u1", "u2", "u3", "u4")
        ],
        "silver.events": [
            event("u1", "2025-02-28", "signup"), event("u1", "2025-03-28", "activation"),
            event("u1", "2025-03-29", "checkout"), event("u1", "2025-03-29", "checkout"),
            event("u2", "2025-02-28", "signup"), event("u2", "2025-02-28", "purchase"),
            event("u3", "2025-02-28", "activation"),
        ],
    })  # fmt: skip
    assert [(r["step_number"], r["step"], r["users"], r["step_conversion"], r["overall_conversion"]) for r in rows] == [
        (1, "visit", 4, 1.0, 1.0),
        (2, "signup", 2, 0.5, 0.5),
        (3, "activation", 1, 0.5, 0.25),
        (4, "checkout", 1, 1.0, 0.25),
        (5, "purchase", 0, 0.0, 0.0),
    ]
    assert {(r["cohort_month"], r["channel_id"]) for r in rows} == {(day("2025-02-01"), "c1")}


def test_a_step_after_an_empty_one_has_no_conversion(evaluate: Evaluate) -> None:
    user = {"user_id": "u1", "channel_id": "c1", "first_seen_date": day("2025-02-27")}
    rows = evaluate("gold.conversion_funnel", {"silver.users": [user]})
    assert [r["step_conversion"] for r in rows] == [1.0, 0.0, None, None, None]


KINDS = ["page_view", "signup", "activation", "feature_use", "checkout", "purchase"]
USERS = ["u1", "u2", "u3", "u4"]


@settings(max_examples=40)
@given(
    seen=st.lists(st.tuples(st.integers(1, 2), st.sampled_from(["c1", "c2"])), min_size=4, max_size=4),
    did=st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from(KINDS)), max_size=25),
)
def test_no_step_has_more_people_than_the_one_before(
    evaluate: Evaluate, seen: list[tuple[int, str]], did: list[tuple[str, str]]
) -> None:
    rows = evaluate("gold.conversion_funnel", {
        "silver.users": [
            {"user_id": u, "channel_id": c, "first_seen_date": date(2025, m, 5)}
            for u, (m, c) in zip(USERS, seen, strict=True)
        ],
        "silver.events": [event(u, "2025-01-01", kind) for u, kind in did],
    })  # fmt: skip
    assert sum(r["users"] for r in rows if r["step"] == "visit") == len(USERS)
    for before, after in pairwise(rows):
        if after["step_number"] > 1:
            assert after["users"] <= before["users"]


# revenue ------------------------------------------------------------------------------------------------------------

PLANS: list[Row] = [
    {"plan_id": "free", "monthly_price": money("0.00")},
    {"plan_id": "small", "monthly_price": money("10.10")},
    {"plan_id": "large", "monthly_price": money("30.30")},
]


def subscription(user: str, plan: str, start: datetime, end: datetime | None) -> Row:
    return {
        "subscription_id": f"{user}{plan}{start}", "user_id": user, "plan_id": plan, "started_at": start,
        "ended_at": end, "start_date": start.date(), "end_date": end and end.date(), "is_active": end is None,
    }  # fmt: skip


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_each_movement_of_mrr_falls_into_its_month(evaluate: Evaluate) -> None:
    change = moment("2025-02-10")
    rows = evaluate("gold.revenue", {
        "silver.plans": PLANS,
        "silver.subscriptions": [
            subscription("grows", "small", moment("2025-01-05"), change),
            subscription("grows", "large", change, None),
            subscription("shrinks", "large", moment("2025-01-05"), change),
            subscription("shrinks", "small", change, None),
            # Ends with the first moment of March: it still ran at February's last.
            subscription("leaves", "small", moment("2025-01-05"), moment("2025-03-01")),
            subscription("returns", "large", moment("2025-01-31T23:59:59"), moment("2025-02-01T00:00:00")),
            subscription("returns", "large", moment("2025-03-31T23:59:59"), None),
            # Paid for two days in January, so back, not new, in March.
            subscription("briefly", "small", moment("2025-01-10"), moment("2025-01-12")),
            subscription("briefly", "small", moment("2025-03-10"), None),
            subscription("free", "free", moment("2025-01-10"), None),
        ],
        "silver.invoices": [{"issued_date": day("2025-04-30"), "amount": money("1.00")}],
        "silver.payments": [
            {"paid_date": day("2025-03-01"), "amount": money("5.00"), "is_successful": True},
            {"paid_date": day("2025-03-01"), "amount": money("7.00"), "is_successful": False},
        ],
        "silver.refunds": [{"refunded_date": day("2025-03-31"), "amount": money("2.50")}],
    })  # fmt: skip
    names = ("mrr_start", "mrr_new", "mrr_reactivation", "mrr_expansion", "mrr_contraction", "mrr_churn", "mrr_end")
    assert [(str(r["revenue_month"])[:7], *(str(r[n]) for n in names), r["customers_end"]) for r in rows] == [
        ("2025-01", "0.00", "80.80", "0.00", "0.00", "0.00", "0.00", "80.80", 4),
        ("2025-02", "80.80", "0.00", "0.00", "20.20", "20.20", "30.30", "50.50", 3),
        ("2025-03", "50.50", "0.00", "40.40", "0.00", "0.00", "10.10", "80.80", 4),
        ("2025-04", "80.80", "0.00", "0.00", "0.00", "0.00", "0.00", "80.80", 4),
    ]
    assert [(r["invoiced"], r["collected"], r["refunded"]) for r in rows] == [
        (money("0.00"),) * 3,
        (money("0.00"),) * 3,
        (money("0.00"), money("5.00"), money("2.50")),
        (money("1.00"), money("0.00"), money("0.00")),
    ]
    assert [r["gross_churn_rate"] for r in rows] == [None, 50.5 / 80.8, pytest.approx(0.2), 0.0]
    assert [r["net_revenue_retention"] for r in rows] == [None, 50.5 / 80.8, pytest.approx(0.8), 1.0]


HISTORY = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", "u3"]),
        st.sampled_from(["free", "small", "large"]),
        st.integers(0, 400 * 24),
        st.one_of(st.none(), st.integers(0, 200 * 24)),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40)
@given(history=HISTORY)
def test_mrr_ends_where_its_movements_lead_and_that_is_what_runs(
    evaluate: Evaluate, history: list[tuple[str, str, int, int | None]]
) -> None:
    subscriptions = []
    for user, plan, after, hours in history:
        start = moment("2024-11-15") + timedelta(hours=after)
        end = None if hours is None else start + timedelta(hours=hours)
        subscriptions.append(subscription(user, plan, start, end))
    rows = evaluate("gold.revenue", {"silver.plans": PLANS, "silver.subscriptions": subscriptions})
    prices: dict[str, Decimal] = {p["plan_id"]: p["monthly_price"] for p in PLANS}
    before = money("0.00")
    for row in rows:
        assert row["mrr_start"] == before
        before = row["mrr_end"]
        movements = row["mrr_new"] + row["mrr_reactivation"] + row["mrr_expansion"]
        assert row["mrr_end"] == row["mrr_start"] + movements - row["mrr_contraction"] - row["mrr_churn"]
        month = row["revenue_month"]
        last = moment(str(month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1, day=1)))
        last -= timedelta(microseconds=1)
        running = [s for s in subscriptions if s["started_at"] <= last and (not s["ended_at"] or s["ended_at"] > last)]
        assert row["mrr_end"] == sum((prices[s["plan_id"]] for s in running), money("0.00"))
        assert row["customers_end"] == len({s["user_id"] for s in running if prices[s["plan_id"]] > 0})
        assert all(row[name] >= 0 for name in row if name.startswith("mrr_"))


# channel_performance ------------------------------------------------------------------------------------------------

CHANNELS = [
    {"channel_id": "c1", "name": "Search", "kind": "paid"},
    {"channel_id": "c2", "name": "Mail", "kind": "email"},
]


def test_a_channel_gets_the_spend_people_customers_and_money_of_its_month(evaluate: Evaluate) -> None:
    rows = evaluate("gold.channel_performance", {
        "silver.marketing_channels": CHANNELS,
        "silver.marketing_spend": [
            {"channel_id": "c1", "spend_date": day("2025-01-02"), "amount": money("60.00"), "impressions": 300,
             "clicks": 10},
            {"channel_id": "c1", "spend_date": day("2025-01-31"), "amount": money("40.00"), "impressions": 100,
             "clicks": 10},
        ],
        "silver.users": [
            {"user_id": "u1", "channel_id": "c1", "first_seen_date": day("2025-01-01")},
            {"user_id": "u2", "channel_id": "c1", "first_seen_date": day("2025-01-31")},
            {"user_id": "u3", "channel_id": "c1", "first_seen_date": day("2025-01-31")},
        ],
        "silver.subscriptions": [
            *[{"user_id": u, "start_date": day("2025-01-31")} for u in ("u1", "u2", "u3")],
            {"user_id": "u1", "start_date": day("2025-02-01")},
        ],
        "silver.invoices": [{"invoice_id": "i1", "user_id": "u1"}, {"invoice_id": "i2", "user_id": "u2"}],
        "silver.payments": [
            {"payment_id": "p1", "invoice_id": "i1", "paid_date": day("2025-01-31"), "amount": money("50.00"),
             "is_successful": True},
            {"payment_id": "p2", "invoice_id": "i2", "paid_date": day("2025-01-31"), "amount": money("50.00"),
             "is_successful": False},
        ],
        "silver.refunds": [{"payment_id": "p1", "refunded_date": day("2025-02-02"), "amount": money("20.00")}],
    })  # fmt: skip
    assert rows == [
        {"channel_month": day("2025-01-01"), "channel_id": "c1", "channel_name": "Search", "channel_kind": "paid",
         "spend": money("100.00"), "impressions": 400, "clicks": 20, "new_users": 3, "new_customers": 3,
         "net_revenue": money("50.00"), "click_through_rate": 0.05, "cac": money("33.33"), "roas": 0.5},
        {"channel_month": day("2025-02-01"), "channel_id": "c1", "channel_name": "Search", "channel_kind": "paid",
         "spend": money("0.00"), "impressions": 0, "clicks": 0, "new_users": 0, "new_customers": 0,
         "net_revenue": money("-20.00"), "click_through_rate": None, "cac": None, "roas": None},
    ]  # fmt: skip


@settings(max_examples=40)
@given(cents=st.integers(0, 10**15), customers=st.integers(1, 12))
def test_cac_is_the_nearest_cent_half_away_from_zero(evaluate: Evaluate, cents: int, customers: int) -> None:
    month, amount = day("2025-01-01"), Decimal(cents).scaleb(-2)
    users = [f"u{n}" for n in range(customers)]
    [row] = evaluate("gold.channel_performance", {
        "silver.marketing_channels": CHANNELS,
        "silver.marketing_spend": [
            {"channel_id": "c1", "spend_date": month, "amount": amount, "impressions": 0, "clicks": 0}
        ],
        "silver.users": [{"user_id": u, "channel_id": "c1", "first_seen_date": month} for u in users],
        "silver.subscriptions": [{"user_id": u, "start_date": month} for u in users],
    })  # fmt: skip
    assert row["cac"] * 100 == (2 * cents + customers) // (2 * customers)


# customer_health ----------------------------------------------------------------------------------------------------

TODAY = day("2025-06-30")


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def health(evaluate: Evaluate, **given: list[Row]) -> Row:
    """The health of user u1, subscribed to the small plan for 73 days, as of TODAY."""
    rows = evaluate("gold.customer_health", {
        "silver.users": [{"user_id": u, "name": u, "country": "DE", "channel_id": "c1"} for u in ("u1", "u2")],
        "silver.plans": PLANS,
        "silver.invoices": [{"invoice_id": "i1", "user_id": "u1"}],
        "silver.events": [event("u2", str(TODAY)), *given.get("events", [])],
        "silver.subscriptions": given.get("subscriptions") or [
            {"user_id": "u1", "plan_id": "small", "start_date": ago(73), "is_active": True}
        ],
        "silver.support_tickets": given.get("tickets", []),
        "silver.payments": given.get("payments", []),
    })  # fmt: skip
    [row] = rows
    return row


def test_health_adds_its_four_parts(evaluate: Evaluate) -> None:
    row = health(
        evaluate,
        events=[event("u1", str(ago(n))) for n in (0, 0, 5, 27, 28, 40)],
        tickets=[
            {"user_id": "u1", "opened_date": ago(0), "satisfaction": 5},
            {"user_id": "u1", "opened_date": ago(50), "satisfaction": None},
            {"user_id": "u1", "opened_date": ago(89), "satisfaction": 2},
            {"user_id": "u1", "opened_date": ago(90), "satisfaction": 2},
        ],
        payments=[
            {"invoice_id": "i1", "paid_date": ago(89), "status": "failed"},
            {"invoice_id": "i1", "paid_date": ago(90), "status": "failed"},
            {"invoice_id": "i1", "paid_date": ago(1), "status": "succeeded"},
        ],
    )
    assert row == {
        "user_id": "u1", "name": "u1", "country": "DE", "channel_id": "c1", "as_of_date": TODAY, "is_active": True,
        "tenure_days": 73, "mrr": money("10.10"), "active_days_28": 3, "tickets_90": 3, "mean_satisfaction": 3.0,
        "failed_payments_90": 1, "engagement_score": 10.0, "support_score": 12.0, "billing_score": 10.0,
        "tenure_score": 2.0, "health_score": 34.0, "health_band": "at_risk",
    }  # fmt: skip


def test_the_parts_of_health_have_bounds(evaluate: Evaluate) -> None:
    best = health(
        evaluate,
        events=[event("u1", str(ago(n))) for n in range(28)],
        tickets=[{"user_id": "u1", "opened_date": ago(1), "satisfaction": 5}],
        subscriptions=[{"user_id": "u1", "plan_id": "small", "start_date": ago(1000), "is_active": True}],
    )
    assert (best["health_score"], best["health_band"]) == (100.0, "healthy")
    worst = health(
        evaluate,
        tickets=[{"user_id": "u1", "opened_date": ago(1), "satisfaction": 1}] * 9,
        payments=[{"invoice_id": "i1", "paid_date": ago(1), "status": "failed"}] * 9,
        subscriptions=[{"user_id": "u1", "plan_id": "small", "start_date": ago(-9), "is_active": True}],
    )
    assert (worst["health_score"], worst["health_band"], worst["tenure_days"]) == (0.0, "at_risk", 0)


def test_without_answered_tickets_support_counts_twenty_and_many_tickets_still_cost(evaluate: Evaluate) -> None:
    silent = {"user_id": "u1", "opened_date": ago(1), "satisfaction": None}
    assert [health(evaluate, tickets=[silent] * n)["support_score"] for n in (0, 2, 3, 8, 9)] == [20, 20, 17, 2, 0]


def test_somebody_without_a_running_subscription_has_churned(evaluate: Evaluate) -> None:
    ended = {"user_id": "u1", "plan_id": "large", "start_date": ago(10), "is_active": False}
    row = health(evaluate, subscriptions=[ended], events=[event("u1", str(ago(n))) for n in range(28)])
    assert (row["is_active"], row["mrr"], row["health_band"]) == (False, money("0.00"), "churned")


def test_before_the_first_event_nobody_has_a_health(evaluate: Evaluate) -> None:
    subscribed = {"user_id": "u1", "plan_id": "small", "start_date": TODAY, "is_active": True}
    sources = {"silver.users": [{"user_id": "u1"}], "silver.plans": PLANS, "silver.subscriptions": [subscribed]}
    assert evaluate("gold.customer_health", sources) == []
