"""Billing: subscriptions, invoices, payments and refunds, read off the members' months."""

from __future__ import annotations

import numpy as np

from tasks.generation import company
from tasks.generation.columns import END_REASONS, NULL, NULL_CODE, STATUSES, Rows
from tasks.generation.draws import Array, Draws, choices, exponential
from tasks.generation.members import NO_PLAN, Members
from tasks.generation.people import People
from tasks.generation.seasons import DAY, HOUR, MINUTE, Calendar

_PRICES = np.array([p.monthly_cents for p in company.PLANS])
_ATTEMPT_DELAY = 40 * MINUTE
_REFUND_DELAY = 8 * DAY
_SOONEST_REFUND = HOUR


def draw_billing(draws: Draws, calendar: Calendar, people: People, members: Members, first: int) -> dict[str, Rows]:
    """Rows of the four billing tables by table name.

    Args:
        draws: Random numbers.
        calendar: The history.
        people: People of the block.
        members: Those of them who ever bought.
        first: First free number for identifiers.
    """
    user = people.user[members.person]
    subscriptions, period_of_month = _subscriptions(calendar, members, user, first)
    member, month = np.nonzero(members.plan != NO_PLAN)
    invoices = {
        "invoice_id": first + np.arange(len(member)),
        "subscription_id": subscriptions["subscription_id"][period_of_month[member, month]],
        "user_id": user[member],
        "issued_at": members.starts_at[member, month],
        "period_start": members.starts_on[member, month],
        "period_end": members.starts_on[member, month + 1],
        "amount": _PRICES[members.plan[member, month]],
    }
    payments = _payments(draws, calendar, invoices, member, first, is_purchase=month == 0)
    return {
        "subscriptions": subscriptions,
        "invoices": invoices,
        "payments": payments,
        "refunds": _refunds(draws, calendar, payments, first),
    }


def _subscriptions(calendar: Calendar, members: Members, user: Array, first: int) -> tuple[Rows, Array]:
    """A row for each run of months with one plan, and the row of every month."""
    plan = members.plan
    edge = np.full((len(plan), 1), NO_PLAN, plan.dtype)
    before, after = np.hstack((edge, plan[:, :-1])), np.hstack((plan[:, 1:], edge))
    begins, ends = (plan != NO_PLAN) & (plan != before), (plan != NO_PLAN) & (plan != after)
    # Both are in the order of members and months, so that a run's first and last month meet in one row.
    member, first_month = np.nonzero(begins)
    last_month = np.nonzero(ends)[1]
    ended_at = members.starts_at[member, last_month + 1]
    is_running = ended_at >= calendar.end
    is_change = after[member, last_month] != NO_PLAN
    reason = np.where(is_change, END_REASONS.index("plan_change"), END_REASONS.index("cancelled"))
    rows = {
        "subscription_id": first + np.arange(len(member)),
        "user_id": user[member],
        "plan_id": plan[member, first_month],
        "started_at": members.starts_at[member, first_month],
        "ended_at": np.where(is_running, NULL, ended_at),
        "end_reason": np.where(is_running, NULL_CODE, reason).astype(np.int8),
    }
    return rows, np.cumsum(begins).reshape(plan.shape) - 1


def _payments(
    draws: Draws, calendar: Calendar, invoices: Rows, member: Array, first: int, *, is_purchase: Array
) -> Rows:
    """Attempts to pay each invoice until one succeeds or the last failed; the one of a purchase succeeds."""
    members = int(member.max(initial=-1)) + 1
    method = draws.pick(choices(*company.METHOD_SHARES), members)[member]
    risky = draws.chance(company.RISKY_PAYERS, members)[member]
    failure = np.where(is_purchase, 0.0, np.where(risky, company.FAILURE_RISKY, company.FAILURE_USUAL))

    is_open = np.ones(len(member), bool)
    attempts: list[Rows] = []
    for days in company.RETRY_AFTER_DAYS:
        delay = draws.pick(exponential(_ATTEMPT_DELAY), len(member)).astype(np.int64)
        paid_at = invoices["issued_at"] + days * DAY + delay
        fails = draws.chance(failure, len(member))
        tried = is_open & (paid_at < calendar.end)
        status = np.where(fails, STATUSES.index("failed"), STATUSES.index("succeeded")).astype(np.int8)
        attempts.append(
            {
                "invoice_id": invoices["invoice_id"][tried],
                "paid_at": paid_at[tried],
                "amount": invoices["amount"][tried],
                "status": status[tried],
                "method": method[tried],
            }
        )
        is_open &= fails
    rows = {name: np.concatenate([attempt[name] for attempt in attempts]) for name in attempts[0]}
    return {"payment_id": first + np.arange(len(rows["paid_at"])), **rows}


def _refunds(draws: Draws, calendar: Calendar, payments: Rows, first: int) -> Rows:
    """All or half of some successful payments."""
    count = len(payments["payment_id"])
    refunded = draws.chance(company.REFUND_SHARE, count) & (payments["status"] == STATUSES.index("succeeded"))
    delay = _SOONEST_REFUND + draws.pick(exponential(_REFUND_DELAY), count).astype(np.int64)
    refunded_at = payments["paid_at"] + delay
    refunded &= refunded_at < calendar.end
    amount = payments["amount"][refunded]
    is_full = draws.chance(company.FULL_REFUND_SHARE, len(amount))
    return {
        "refund_id": first + np.arange(len(amount)),
        "payment_id": payments["payment_id"][refunded],
        "refunded_at": refunded_at[refunded],
        "amount": np.where(is_full, amount, amount // 2),
        "reason": draws.pick(choices(*company.REASON_SHARES), len(amount)),
    }
