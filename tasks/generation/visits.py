"""Visits and what people do in them: the two largest tables.

A visit holds some activity (page views, use of features) and perhaps steps of the funnel. Activity comes as one run
of rows per visit with cumulated gaps; steps keep the moments that people.py drew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.generation import company
from tasks.generation.columns import CHANNEL_IDS, DEVICES, EVENT_TYPES, NULL, Rows
from tasks.generation.draws import Array, Draws, choices, exponential, lognormal, poisson
from tasks.generation.members import NO_PLAN, Members
from tasks.generation.people import People
from tasks.generation.seasons import DAY, MINUTE, SECOND, Calendar

# Mean number of activities beyond the first page view: casual visits, visits of those who use the product.
_MORE_ACTIVITY = (1.5, 4.4)
_FEATURE_SHARES = ((1.0, 0.0), (0.28, 0.72))
# Planned visits of those who never buy, by how far they came: visit, signup, activation.
_FREE_VISITS = (0.7, 1.3, 3.6)
_FREE_DELAY_DAYS = 24
# Planned visits a month of members, and how many members are like that.
_MEMBER_VISITS = (1.0, 2.5, 5.0, 8.0, 14.0)
_MEMBER_SHARES = (0.25, 0.30, 0.25, 0.14, 0.06)
# Visits in the last month before leaving.
_FADING = 0.5
_GAP = 50 * SECOND
_LONGEST_GAP = 10 * MINUTE
# Median in milliseconds and spread, by event type.
_LATENCY = ((110, 0.50), (240, 0.50), (180, 0.50), (140, 0.60), (320, 0.55), (540, 0.55))
# A small table stays in the processor's nearest cache.
_LATENCY_QUANTILES = 4096
_OFFSET_BITS = 50


@dataclass(frozen=True, slots=True)
class _Visits:
    """Visits, an array each: position of the person, start, whether the product is used, last step of the funnel."""

    person: Array
    start_at: Array
    uses_product: Array
    last_step_at: Array


def draw_visits(draws: Draws, calendar: Calendar, people: People, members: Members, first: int) -> tuple[Rows, Rows]:
    """Rows of bronze.sessions and bronze.events.

    Args:
        draws: Random numbers.
        calendar: The history.
        people: People of the block.
        members: Those of them who ever bought.
        first: First free number for identifiers.
    """
    planned = [*_funnel_visits(people), _free_visits(draws, calendar, people), _member_visits(draws, calendar, members)]
    joined = _Visits(*(np.concatenate([getattr(v, name) for v in planned]) for name in _Visits.__slots__))
    order = np.argsort((joined.person << _OFFSET_BITS) | (joined.start_at - calendar.begin), kind="stable")
    visits = _Visits(*(getattr(joined, name)[order] for name in _Visits.__slots__))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))

    session = first + np.arange(len(order))
    user = people.user[visits.person]
    activity, ended_at = _activity(draws, calendar, visits, session, user)
    steps = _steps(people, place, session, [len(v.person) for v in planned[:2]])
    events = {name: np.concatenate([activity[name], steps[name]]) for name in activity}
    events["latency_ms"] = draws.pick_each(_latencies(), events["event_type"])
    sessions = {
        "session_id": session,
        "user_id": user,
        "started_at": visits.start_at,
        "ended_at": np.maximum(ended_at, visits.last_step_at),
        "channel_id": _channels(draws, people, visits),
        "device": _devices(draws, people, visits),
    }
    return sessions, {"event_id": first + np.arange(len(events["user_id"])), **events}


def _funnel_visits(people: People) -> list[_Visits]:
    """First visits, visits of a later activation, visits of a checkout."""
    everybody = np.arange(len(people.user))
    at_once = np.where(people.activation_visit_at == NULL, people.activation_at, NULL)
    first = _Visits(
        everybody, people.first_seen_at, people.activation_at != NULL, np.maximum(people.signup_at, at_once)
    )
    activating = np.flatnonzero(people.activation_visit_at != NULL)
    checking = np.flatnonzero(people.checkout_visit_at != NULL)
    activation = _Visits(
        activating, people.activation_visit_at[activating], np.ones(len(activating), bool),
        people.activation_at[activating],
    )  # fmt: skip
    checkout = _Visits(
        checking, people.checkout_visit_at[checking], np.ones(len(checking), bool),
        np.maximum(people.checkout_at, people.purchase_at)[checking],
    )  # fmt: skip
    return [first, activation, checkout]


def _free_visits(draws: Draws, calendar: Calendar, people: People) -> _Visits:
    """Visits of those who never buy, fewer as time goes by."""
    stage = (people.signup_at != NULL).astype(np.int8) + (people.activation_at != NULL)
    counts = draws.pick_each(np.stack([poisson(mean) for mean in _FREE_VISITS]), stage)
    person = np.repeat(np.arange(len(stage)), np.where(people.purchase_at == NULL, counts, 0))
    delay = 1 + draws.pick(exponential(_FREE_DELAY_DAYS), len(person)).astype(np.int64)
    return _visits_on(draws, calendar, person, people.first_seen_at[person] // DAY + delay, stage[person] > 1)


def _member_visits(draws: Draws, calendar: Calendar, members: Members) -> _Visits:
    """Visits of members, month by month."""
    habit = draws.pick(choices(*_MEMBER_SHARES), len(members.person))
    member, month = np.nonzero(members.plan != NO_PLAN)
    counts = draws.pick_each(np.stack([poisson(mean) for mean in _MEMBER_VISITS]), habit[member])
    stays = np.hstack((members.plan[:, 1:] != NO_PLAN, np.ones((len(habit), 1), bool)))[member, month]
    stays |= members.starts_at[member, month + 1] >= calendar.end
    counts = np.where(stays, counts, counts * _FADING).astype(np.int64)
    begin, end = members.starts_on[member, month], members.starts_on[member, month + 1]
    length = np.repeat(end - begin, counts)
    # The day after the purchase is the first.
    day = np.repeat(begin, counts) + 1 + (draws.uniform(len(length)) * length).astype(np.int64)
    person = np.repeat(members.person[member], counts)
    return _visits_on(draws, calendar, person, day, np.ones(len(person), bool))


def _visits_on(draws: Draws, calendar: Calendar, person: Array, day: Array, uses_product: Array) -> _Visits:
    """Those planned visits that take place on their days."""
    kept = calendar.is_visited(draws, day)
    start_at = calendar.moments(draws, day[kept])
    return _Visits(person[kept], start_at, uses_product[kept], np.full(len(start_at), NULL))


def _activity(draws: Draws, calendar: Calendar, visits: _Visits, session: Array, user: Array) -> tuple[Rows, Array]:
    """Activity of each visit, and when the last one was."""
    tables = np.stack([poisson(mean) for mean in _MORE_ACTIVITY])
    counts = 1 + draws.pick_each(tables, visits.uses_product).astype(np.int64)
    last = np.cumsum(counts) - 1
    begin = last - counts + 1
    total = int(counts.sum())

    gaps = np.minimum(draws.pick(exponential(_GAP), total), _LONGEST_GAP).astype(np.int64)
    gaps[begin] = 0
    since = np.cumsum(gaps)
    occurred_at = calendar.before_end(since + np.repeat(visits.start_at - since[begin], counts))

    kinds = np.where(
        np.stack([choices(*shares) for shares in _FEATURE_SHARES]) == 0,
        EVENT_TYPES.index("page_view"),
        EVENT_TYPES.index("feature_use"),
    ).astype(np.int8)
    event_type = draws.pick_each(kinds, np.repeat(visits.uses_product, counts))
    event_type[begin] = EVENT_TYPES.index("page_view")
    rows = {
        "session_id": np.repeat(session, counts),
        "user_id": np.repeat(user, counts),
        "occurred_at": occurred_at,
        "event_type": event_type,
    }
    return rows, occurred_at[last]


def _steps(people: People, place: Array, session: Array, sizes: list[int]) -> Rows:
    """One event for each step of the funnel that somebody reached, in the visit where it was reached.

    Args:
        people: People of the block.
        place: Where each planned visit, funnel first, lies among the sorted ones.
        session: Identifiers of the sorted visits.
        sizes: Number of first visits and of activation visits.
    """
    people_count, activations = sizes
    visit = {"signup": np.arange(people_count), "activation": np.arange(people_count)}
    own = np.flatnonzero(people.activation_visit_at != NULL)
    visit["activation"][own] = people_count + np.arange(activations)
    checking = np.flatnonzero(people.checkout_visit_at != NULL)
    visit["checkout"] = np.zeros(people_count, np.int64)
    visit["checkout"][checking] = people_count + activations + np.arange(len(checking))
    visit["purchase"] = visit["checkout"]

    parts = []
    for step, reached_at in people.steps.items():
        who = np.flatnonzero(reached_at != NULL)
        parts.append(
            {
                "session_id": session[place[visit[step][who]]],
                "user_id": people.user[who],
                "occurred_at": reached_at[who],
                "event_type": np.full(len(who), EVENT_TYPES.index(step), np.int8),
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _channels(draws: Draws, people: People, visits: _Visits) -> Array:
    own = people.channel[visits.person]
    other = np.array([-1, *(CHANNEL_IDS.index(c) for c in company.RETURN_CHANNELS)], np.int8)
    drawn = other[draws.pick(choices(*company.RETURN_CHANNEL_SHARES), len(own))]
    is_first = visits.start_at == people.first_seen_at[visits.person]
    return np.where(is_first | (drawn < 0), own, drawn)


def _devices(draws: Draws, people: People, visits: _Visits) -> Array:
    own = people.device[visits.person]
    is_own = draws.chance(company.OWN_DEVICE_SHARE, len(own))
    is_own |= visits.start_at == people.first_seen_at[visits.person]
    return np.where(is_own, own, DEVICES.index("mobile")).astype(np.int8)


def _latencies() -> Array:
    """Milliseconds, rounded, event types × quantiles."""
    tables = [lognormal(median, spread, _LATENCY_QUANTILES) for median, spread in _LATENCY]
    rounded: Array = np.rint(np.stack(tables)).astype(np.int16)
    return rounded
