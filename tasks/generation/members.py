"""Members: who pays for which plan in which month, and why they leave.

A person's months run from the day of the purchase to the same day of the next month. Everything is told by one
matrix, people × months, that holds the plan paid for; subscriptions, invoices and visits are read off it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.generation import company
from tasks.generation.columns import NULL
from tasks.generation.draws import Array, Draws, Stream, choices, poisson
from tasks.generation.people import People
from tasks.generation.seasons import DAY, Calendar
from tasks.generation.support import Requests, draw_luck, draw_requests

NO_PLAN = -1
_BASE_CHURN = np.array([p.base_churn for p in company.PLANS])


@dataclass(frozen=True, slots=True)
class Members:
    """People of a block who ever bought.

    Args:
        person: Position in the block.
        plan: Code of the plan paid for or `NO_PLAN`, members × months.
        starts_on: First day of each month and of the one after the last, members × (months + 1).
        starts_at: The same as moments, microseconds.
        requests: Their requests to support; `asker` is a position among the members.
    """

    person: Array
    plan: Array
    starts_on: Array
    starts_at: Array
    requests: Requests


def draw_members(seed: int, calendar: Calendar, block: int, people: People) -> Members:
    """Follow everybody who bought from month to month until the history ends."""
    months, support = Draws(seed, Stream.MEMBERS, block), Draws(seed, Stream.SUPPORT, block)
    person = np.flatnonzero(people.purchase_at != NULL)
    bought_at = people.purchase_at[person]
    bought_on = bought_at // DAY
    starts_on = calendar.anniversaries(bought_on)
    starts_at = starts_on * DAY + (bought_at - bought_on * DAY)[:, None]

    begun = starts_at[:, :-1] < calendar.end
    requests, month = _requests(support, calendar, starts_at, begun)
    is_scored = requests.satisfaction != NULL
    cell = requests.asker * begun.shape[1] + month
    scores = np.bincount(cell[is_scored], requests.satisfaction[is_scored], begun.size).reshape(begun.shape)
    answers = np.bincount(cell[is_scored], minlength=begun.size).reshape(begun.shape)
    plan = np.where(begun, _plans(months, scores, answers), NO_PLAN)

    pays = plan.ravel()[cell] != NO_PLAN
    return Members(person, plan, starts_on, starts_at, requests.where(pays & (requests.opened_at < calendar.end)))


def _requests(draws: Draws, calendar: Calendar, starts_at: Array, begun: Array) -> tuple[Requests, Array]:
    """Requests as if everybody stayed, and the month of each."""
    member, month = np.nonzero(begun)
    counts = draws.pick(poisson(company.REQUESTS_PER_MEMBER_MONTH), len(member))
    member, month = np.repeat(member, counts), np.repeat(month, counts)
    begin, end = starts_at[member, month], starts_at[member, month + 1]
    opened_at = begin + (draws.uniform(len(member)) * (end - begin)).astype(np.int64)
    luck = draw_luck(draws, len(begun))
    return draw_requests(draws, calendar, member, opened_at, luck[member]), month


def _plans(draws: Draws, scores: Array, answers: Array) -> Array:
    """Plan of each member in each month.

    Args:
        draws: Random numbers.
        scores: Sum of satisfaction over the requests of a month, members × months.
        answers: Number of them.
    """
    members, months = scores.shape
    plan = draws.pick(choices(*(p.first_share for p in company.PLANS)), members).astype(np.int8)
    paid = np.full((members, months), NO_PLAN, np.int8)
    leaving, changing = draws.uniform(2, months, members)
    pays, has_returned = np.ones(members, bool), np.zeros(members, bool)
    score, answered = np.zeros(members), np.zeros(members)
    for month in range(months):
        paid[:, month] = np.where(pays, plan, NO_PLAN)
        score += np.where(pays, scores[:, month], 0)
        answered += np.where(pays, answers[:, month], 0)
        leaves = pays & (leaving[month] < monthly_hazard(plan, score, answered))
        returns = ~pays & ~has_returned & (leaving[month] < company.REACTIVATION_PER_MONTH)
        has_returned |= returns
        step = (changing[month] < company.UPGRADE_PER_MONTH) * 1 - (changing[month] > 1 - company.DOWNGRADE_PER_MONTH)
        plan = np.clip(plan + step, 0, len(company.PLANS) - 1).astype(np.int8)
        pays = (pays & ~leaves) | returns
    return paid


def monthly_hazard(plan: Array, score: Array, answered: Array) -> Array:
    """Probability to leave at the end of a month; see company.Churn.

    Args:
        plan: Code of the plan.
        score: Sum of satisfaction so far.
        answered: Number of answers so far.
    """
    churn = company.CHURN
    mean = np.where(answered > 0, score / np.maximum(answered, 1), churn.neutral)
    hazard: Array = np.minimum(_BASE_CHURN[plan] * np.exp(churn.sensitivity * (churn.neutral - mean)), churn.cap)
    return hazard
