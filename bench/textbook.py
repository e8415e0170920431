"""The textbook pipeline as a peer: pandas frames, rows inserted one by one into SQLite, the same six marts.

What a first version by hand looks like: everything in memory, no gate, no quarantine, no history, no restart.
Called as ``python -m bench.textbook INBOX DATABASE EXPORTS``.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lake.tables import BRONZE, SILVER

TABLES = [table.name for table in BRONZE]
KEYS = {table.name: list(table.key) for table in BRONZE}
RECEIVED = {table.name: {c.name for c in table.payload} for table in BRONZE}
REQUIRED = {t.name: [c.name for c in t.payload if c.required and c.name in RECEIVED[t.name]] for t in SILVER}
# Child column → parent table, as the silver models check them.
REFERENCES: dict[str, dict[str, str]] = {
    "users": {"channel_id": "marketing_channels"},
    "sessions": {"user_id": "users", "channel_id": "marketing_channels"},
    "events": {"user_id": "users", "session_id": "sessions"},
    "marketing_spend": {"channel_id": "marketing_channels"},
    "subscriptions": {"user_id": "users", "plan_id": "plans"},
    "invoices": {"user_id": "users", "subscription_id": "subscriptions"},
    "payments": {"invoice_id": "invoices"},
    "refunds": {"payment_id": "payments"},
    "support_tickets": {"user_id": "users"},
    "experiment_assignments": {"user_id": "users"},
    "experiment_exposures": {"user_id": "users"},
    "experiment_conversions": {"user_id": "users"},
}
POSITIVE = {"events": "latency_ms", "marketing_spend": "amount", "invoices": "amount", "payments": "amount"}
PARENTS_FIRST = [
    "marketing_channels", "plans", "users", "sessions", "events", "marketing_spend", "subscriptions", "invoices",
    "payments", "refunds", "support_tickets", "experiment_assignments", "experiment_exposures",
    "experiment_conversions",
]  # fmt: skip
Frames = dict[str, pd.DataFrame]


def load_rows(connection: sqlite3.Connection, name: str, frame: pd.DataFrame) -> None:
    """Insert a frame row by row in one transaction."""
    connection.execute(f'DROP TABLE IF EXISTS "{name}"')
    connection.execute(f'CREATE TABLE "{name}" ({", ".join(frame.columns)})')
    insert = f'INSERT INTO "{name}" VALUES ({", ".join("?" * frame.shape[1])})'
    for row in frame.itertuples(index=False):
        connection.execute(insert, tuple(_storable(value) for value in row))
    connection.commit()


def _storable(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value if isinstance(value, str | int | float) else str(value)


def extract(inbox: Path, name: str) -> pd.DataFrame:
    """All files of one table as one frame."""
    frames = [pd.read_parquet(file) for file in sorted((inbox / name).glob("*.parquet"))]
    frame = pd.concat(frames, ignore_index=True)
    for column in frame.columns.intersection(["amount", "monthly_price"]):
        frame[column] = frame[column].astype(float)
    return frame


def clean(name: str, bronze: pd.DataFrame, silver: Frames) -> pd.DataFrame:
    """Drop duplicates and rows with missing, negative or dangling values."""
    frame = bronze.dropna(subset=REQUIRED[name]).drop_duplicates(KEYS[name], keep="last")
    if name in POSITIVE:
        frame = frame[frame[POSITIVE[name]] >= 0]
    for column, parent in REFERENCES.get(name, {}).items():
        frame = frame[frame[column].isin(silver[parent][KEYS[parent][0]])]
    return frame


def daily_kpis(s: Frames) -> pd.DataFrame:
    events = s["events"].assign(day=s["events"]["occurred_at"].dt.floor("D"))
    days = pd.date_range(events["day"].min(), events["day"].max(), freq="D")
    user_days = events[["user_id", "day"]].drop_duplicates()
    week = pd.concat([user_days.assign(day=user_days["day"] + pd.Timedelta(days=n)) for n in range(7)])
    paid = s["payments"][s["payments"]["status"] == "succeeded"]
    first = s["subscriptions"].groupby("user_id")["started_at"].min()

    def by_day(frame: pd.DataFrame, column: str) -> pd.Series[int]:
        return frame.groupby(frame[column].dt.floor("D")).size()

    def people(kind: str) -> pd.Series[int]:
        return events[events["event_type"] == kind].groupby("day")["user_id"].nunique()

    columns = {
        "active_users": user_days.groupby("day").size(),
        "weekly_active_users": week.drop_duplicates().groupby("day").size(),
        "new_users": by_day(s["users"], "first_seen_at"),
        "sessions": by_day(s["sessions"], "started_at"),
        "events": events.groupby("day").size(),
        "signups": people("signup"),
        "activations": people("activation"),
        "new_subscriptions": first.dt.floor("D").value_counts(),
        "collected": paid.groupby(paid["paid_at"].dt.floor("D"))["amount"].sum(),
        "refunded": s["refunds"].groupby(s["refunds"]["refunded_at"].dt.floor("D"))["amount"].sum(),
        "tickets_opened": by_day(s["support_tickets"], "opened_at"),
    }
    kpis = pd.DataFrame(columns).reindex(days).fillna(0)
    kpis["net_revenue"] = kpis["collected"] - kpis["refunded"]
    kpis["signup_rate"] = kpis["signups"] / kpis["new_users"].where(kpis["new_users"] > 0)
    return kpis.rename_axis("kpi_date").reset_index()


def conversion_funnel(s: Frames) -> pd.DataFrame:
    users = s["users"][["user_id", "channel_id", "first_seen_at"]].copy()
    users["cohort_month"] = users["first_seen_at"].dt.strftime("%Y-%m-01")
    reached = pd.Series(True, index=users.index)
    parts, previous, visit = [], None, None
    for number, step in enumerate(("visit", "signup", "activation", "checkout", "purchase"), start=1):
        if step != "visit":
            did = s["events"].loc[s["events"]["event_type"] == step, "user_id"].unique()
            reached &= users["user_id"].isin(did)
        count = reached.groupby([users["cohort_month"], users["channel_id"]]).sum().rename("users").reset_index()
        visit = count["users"] if visit is None else visit
        count = count.assign(step_number=number, step=step, overall_conversion=count["users"] / visit)
        count["step_conversion"] = 1.0 if previous is None else count["users"] / previous.where(previous > 0)
        previous = count["users"]
        parts.append(count)
    return pd.concat(parts)


def revenue(s: Frames) -> pd.DataFrame:
    subscriptions = s["subscriptions"].merge(s["plans"], on="plan_id")
    months = pd.date_range(
        subscriptions["started_at"].min().floor("D").replace(day=1), s["events"]["occurred_at"].max(), freq="MS"
    )
    rows, before, ever = [], pd.Series(dtype=float), set[str]()
    for month in months:
        last = month + pd.offsets.MonthBegin(1) - pd.Timedelta(microseconds=1)
        running = (subscriptions["started_at"] <= last) & ~(subscriptions["ended_at"] <= last)
        now = subscriptions[running].groupby("user_id")["monthly_price"].sum()
        change = pd.DataFrame({"start": before, "end": now}).fillna(0.0)
        gain, kept = change["end"] - change["start"], (change["start"] > 0) & (change["end"] > 0)
        fresh = (change["start"] == 0) & (change["end"] > 0)
        known = change.index.isin(ever)
        rows.append({
            "revenue_month": month, "mrr_start": before.sum(), "mrr_new": change.loc[fresh & ~known, "end"].sum(),
            "mrr_reactivation": change.loc[fresh & known, "end"].sum(), "mrr_expansion": gain[kept].clip(lower=0).sum(),
            "mrr_contraction": -gain[kept].clip(upper=0).sum(),
            "mrr_churn": change.loc[(change["start"] > 0) & (change["end"] == 0), "start"].sum(),
            "mrr_end": now.sum(), "customers_end": len(now),
        })  # fmt: skip
        ever |= set(now.index)
        before = now
    result = pd.DataFrame(rows)
    paid = s["payments"][s["payments"]["status"] == "succeeded"]
    for name, frame, at in (("invoiced", s["invoices"], "issued_at"), ("collected", paid, "paid_at"),
                            ("refunded", s["refunds"], "refunded_at")):  # fmt: skip
        by_month = frame.groupby(frame[at].dt.strftime("%Y-%m"))["amount"].sum()
        result[name] = result["revenue_month"].dt.strftime("%Y-%m").map(by_month).fillna(0)
    return result


def channel_performance(s: Frames) -> pd.DataFrame:
    def month(at: Any) -> Any:
        return at.dt.strftime("%Y-%m")

    spend = s["marketing_spend"].assign(month=month(pd.to_datetime(s["marketing_spend"]["spend_date"])))
    spend = spend.groupby(["month", "channel_id"])[["amount", "impressions", "clicks"]].sum()
    channel = s["users"].set_index("user_id")["channel_id"]
    users = s["users"].groupby([month(s["users"]["first_seen_at"]), "channel_id"]).size().rename("new_users")
    first = s["subscriptions"].groupby("user_id")["started_at"].min().reset_index()
    first = first.assign(channel_id=first["user_id"].map(channel), month=month(first["started_at"]))
    customers = first.groupby(["month", "channel_id"]).size().rename("new_customers")
    payer = s["invoices"].set_index("invoice_id")["user_id"]
    paid = s["payments"][s["payments"]["status"] == "succeeded"]
    paid = paid.assign(channel_id=paid["invoice_id"].map(payer).map(channel), month=month(paid["paid_at"]))
    back = s["refunds"].merge(s["payments"][["payment_id", "invoice_id"]], on="payment_id")
    back = back.assign(channel_id=back["invoice_id"].map(payer).map(channel), month=month(back["refunded_at"]))
    keys = ["month", "channel_id"]
    net = paid.groupby(keys)["amount"].sum().sub(back.groupby(keys)["amount"].sum(), fill_value=0).rename("net_revenue")
    parts = [part.rename_axis(keys) for part in (spend, users, customers, net)]
    result = pd.concat(parts, axis=1).fillna(0).reset_index()
    result["cac"] = (result["amount"] / result["new_customers"].where(result["new_customers"] > 0)).round(2)
    result["roas"] = result["net_revenue"] / result["amount"].where(result["amount"] > 0)
    return result.merge(s["marketing_channels"], on="channel_id")


def customer_health(s: Frames) -> pd.DataFrame:
    as_of = s["events"]["occurred_at"].max().floor("D")
    subscriptions = s["subscriptions"].merge(s["plans"], on="plan_id")
    running = subscriptions[subscriptions["ended_at"].isna()]
    health = pd.DataFrame({"first": subscriptions.groupby("user_id")["started_at"].min().dt.floor("D")})
    health["tenure_days"] = (as_of - health["first"]).dt.days
    health["mrr"] = running.groupby("user_id")["monthly_price"].sum()
    events = s["events"]
    recent = events.loc[events["occurred_at"] >= as_of - pd.Timedelta(days=27), ["user_id", "occurred_at"]]
    health["active_days_28"] = recent["occurred_at"].dt.floor("D").groupby(recent["user_id"]).nunique()
    tickets = s["support_tickets"]
    since = as_of - pd.Timedelta(days=89)
    health["tickets_90"] = tickets[tickets["opened_at"] >= since].groupby("user_id").size()
    health["mean_satisfaction"] = tickets.groupby("user_id")["satisfaction"].mean()
    failed = s["payments"][(s["payments"]["status"] == "failed") & (s["payments"]["paid_at"] >= since)]
    payer = s["invoices"].set_index("invoice_id")["user_id"]
    health["failed_payments_90"] = failed.groupby(failed["invoice_id"].map(payer)).size()
    counts = ["mrr", "active_days_28", "tickets_90", "failed_payments_90"]
    health[counts] = health[counts].fillna(0)
    asked = health["tickets_90"].sub(2).clip(lower=0)
    support = (30 * (health["mean_satisfaction"] - 1) / 4).fillna(20) - 3 * asked
    health["health_score"] = (
        40 * health["active_days_28"].clip(upper=12) / 12 + support.clip(lower=0)
        + 20 - 10 * health["failed_payments_90"].clip(upper=2) + 10 * health["tenure_days"].clip(upper=365) / 365
    )  # fmt: skip
    return health.reset_index().merge(s["users"], on="user_id")


def experiment_performance(s: Frames) -> pd.DataFrame:
    keys = ["experiment_id", "user_id"]
    exposed = s["experiment_exposures"].groupby(keys)["exposed_at"].min().reset_index()
    users = s["experiment_assignments"].merge(exposed, on=keys)
    done = users.merge(s["experiment_conversions"], on=keys)
    done = done[done["converted_at"] >= done["exposed_at"]].drop_duplicates(keys)
    n = users.groupby(["experiment_id", "variant"])["user_id"].nunique().unstack()
    x = done.groupby(["experiment_id", "variant"])["user_id"].nunique().unstack().reindex(n.index).fillna(0)
    p = x / n
    lift = p["treatment"] - p["control"]
    pooled = x.sum(axis=1) / n.sum(axis=1)
    z = lift / np.sqrt(pooled * (1 - pooled) * (1 / n["control"] + 1 / n["treatment"]))
    error = np.sqrt((p * (1 - p) / n).sum(axis=1))
    return pd.DataFrame({"lift": lift, "z": z, "low": lift - 1.96 * error, "high": lift + 1.96 * error}).reset_index()


MARTS = (daily_kpis, conversion_funnel, revenue, channel_performance, customer_health, experiment_performance)


def main(inbox: Path, database: Path, exports: Path) -> None:
    exports.mkdir(parents=True, exist_ok=True)
    silver: Frames = {}
    with sqlite3.connect(database) as connection:
        for name in PARENTS_FIRST:
            bronze = extract(inbox, name)
            load_rows(connection, f"bronze_{name}", bronze)
            silver[name] = clean(name, bronze, silver)
            load_rows(connection, f"silver_{name}", silver[name])
        for mart in MARTS:
            frame = mart(silver)
            load_rows(connection, f"gold_{mart.__name__}", frame)
            frame.to_csv(exports / f"{mart.__name__}.csv", index=False)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
