"""Requests to support: how long people wait, and what they think of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.generation import company
from tasks.generation.columns import NULL, Rows
from tasks.generation.draws import Array, Draws, choices, exponential, lognormal, normal
from tasks.generation.seasons import DAY, HOUR, Calendar

_LOWEST, _HIGHEST = 1, 5
_FREE_DELAY = 6 * DAY
_RESPONSE_SPREAD = 0.8
# Some people are unlucky again and again: their waits share a factor.
_LUCK_SPREAD = 0.7
_SOLUTION_MEDIAN = 7 * HOUR
_SOLUTION_SPREAD = 1.1
# Score = 5.3 - 0.95 * log2(1 + hours waited / 2) + noise, rounded: 4 after three hours, 2 after twenty.
_SCORE_AT_ONCE = 5.3
_SCORE_PER_DOUBLING = 0.95
_HOURS_FREE = 2.0
_SCORE_NOISE = 0.6


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests, an array each; moments in microseconds, NULL where it did not happen.

    Args:
        asker: Position of the person among those given.
        opened_at: When it was opened.
        first_response_at: First answer.
        resolved_at: Solution.
        priority: Code.
        category: Code.
        satisfaction: 1 to 5.
    """

    asker: Array
    opened_at: Array
    first_response_at: Array
    resolved_at: Array
    priority: Array
    category: Array
    satisfaction: Array

    def where(self, keep: Array) -> Requests:
        """The requests for which `keep` is true."""
        return Requests(*(getattr(self, name)[keep] for name in self.__slots__))


def draw_luck(draws: Draws, count: int) -> Array:
    """Factor on every wait of each person."""
    return draws.pick(lognormal(1.0, _LUCK_SPREAD), count)


def draw_requests(draws: Draws, calendar: Calendar, asker: Array, opened_at: Array, luck: Array) -> Requests:
    """Answer the requests opened then; what would come after the end of the history is NULL.

    Args:
        draws: Random numbers.
        calendar: The history.
        asker: Who asks.
        opened_at: When, microseconds.
        luck: Factor on the waits of each request.
    """
    count = len(asker)
    priority = draws.pick(choices(*company.PRIORITY_SHARES), count)
    median = np.array(company.RESPONSE_MEDIAN_HOURS)[priority]
    hours = median * luck * draws.pick(lognormal(1.0, _RESPONSE_SPREAD), count)
    response_at = opened_at + (hours * HOUR).astype(np.int64)
    response_at[draws.chance(company.UNANSWERED_SHARE, count) | (response_at >= calendar.end)] = NULL

    solution = draws.pick(lognormal(_SOLUTION_MEDIAN, _SOLUTION_SPREAD), count).astype(np.int64)
    resolved_at = np.where(response_at == NULL, NULL, response_at + solution)
    resolved_at[resolved_at >= calendar.end] = NULL

    noise = _SCORE_NOISE * draws.pick(normal(), count)
    score = np.rint(_SCORE_AT_ONCE - _SCORE_PER_DOUBLING * np.log2(1 + hours / _HOURS_FREE) + noise).astype(np.int64)
    is_scored = draws.chance(company.SCORED_SHARE, count) & (resolved_at != NULL)
    return Requests(
        asker=asker,
        opened_at=opened_at,
        first_response_at=response_at,
        resolved_at=resolved_at,
        priority=priority,
        category=draws.pick(choices(*company.CATEGORY_SHARES), count),
        satisfaction=np.where(is_scored, np.clip(score, _LOWEST, _HIGHEST), NULL),
    )


def draw_free_requests(draws: Draws, calendar: Calendar, signup_at: Array, is_member: Array) -> Requests:
    """Requests of signed-up people who never bought; at most one each, soon after signup."""
    asks = (signup_at != NULL) & ~is_member & draws.chance(company.REQUEST_SHARE_OF_FREE_USERS, len(signup_at))
    opened_at = signup_at + draws.pick(exponential(_FREE_DELAY), len(signup_at)).astype(np.int64)
    asker = np.flatnonzero(asks & (opened_at < calendar.end))
    return draw_requests(draws, calendar, asker, opened_at[asker], draw_luck(draws, len(asker)))


def ticket_rows(requests: Requests, user: Array, first: int) -> Rows:
    """Rows of bronze.support_tickets.

    Args:
        requests: Requests.
        user: Identifier number of each asker.
        first: First free number for identifiers.
    """
    return {
        "ticket_id": first + np.arange(len(user)),
        "user_id": user,
        "opened_at": requests.opened_at,
        "first_response_at": requests.first_response_at,
        "resolved_at": requests.resolved_at,
        "priority": requests.priority,
        "category": requests.category,
        "satisfaction": requests.satisfaction,
    }
