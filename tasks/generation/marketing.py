"""Marketing: the channels, what they cost a day, and the plans on offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa

from lake.table import Table
from lake.tables.bronze import MARKETING_CHANNELS, PLANS
from tasks.generation import company
from tasks.generation.columns import Rows
from tasks.generation.draws import Draws, lognormal
from tasks.generation.seasons import Calendar

_DAILY_SPREAD = 0.15
_PRICE_SPREAD = 0.08
_CENTS = Decimal(100)


def spend_rows(draws: Draws, calendar: Calendar, people: int) -> Rows:
    """Rows of bronze.marketing_spend: one per day and channel that costs money.

    Args:
        draws: Random numbers.
        calendar: The history.
        people: How many people come in the whole history; clicks follow the number expected on the day.
    """
    paid = [(code, channel) for code, channel in enumerate(company.CHANNELS) if channel.click_cents]
    parts: list[Rows] = []
    for code, channel in paid:
        expected = people * channel.volume * calendar.arrival_shares * channel.clicks_per_visitor
        clicks = np.rint(expected * draws.pick(lognormal(1.0, _DAILY_SPREAD), calendar.days)).astype(np.int64)
        price = channel.click_cents * draws.pick(lognormal(1.0, _PRICE_SPREAD), calendar.days)
        impressions = clicks / channel.click_through * draws.pick(lognormal(1.0, _PRICE_SPREAD), calendar.days)
        parts.append(
            {
                "channel_id": np.full(calendar.days, code, np.int8),
                "spend_date": calendar.first_day + np.arange(calendar.days),
                "amount": np.rint(clicks * price).astype(np.int64),
                "impressions": np.maximum(np.rint(impressions).astype(np.int64), clicks),
                "clicks": clicks,
            }
        )
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {"spend_id": 1 + np.arange(len(rows["clicks"])), **rows}


def static_rows() -> dict[str, pa.Table]:
    """Rows of the two small tables that stay clean, with the declared types, by table name."""
    channels = [{"channel_id": c.channel_id, "name": c.name, "kind": c.kind} for c in company.CHANNELS]
    plans = [
        {"plan_id": p.plan_id, "name": p.name, "monthly_price": Decimal(p.monthly_cents) / _CENTS, "tier": p.tier}
        for p in company.PLANS
    ]
    return {"marketing_channels": _table(MARKETING_CHANNELS, channels), "plans": _table(PLANS, plans)}


def _table(table: Table, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), pa.schema([pa.field(c.name, c.type) for c in table.payload]))
