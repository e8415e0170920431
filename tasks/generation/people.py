"""People: who comes, from where, and how far each gets from first visit to purchase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.generation import company
from tasks.generation.columns import NULL, Rows
from tasks.generation.draws import Array, Draws, choices, exponential, lognormal
from tasks.generation.seasons import DAY, HOUR, MINUTE, SECOND, Calendar

# People of one block; every random number hangs on it, so that it is part of the format.
BLOCK_PEOPLE = 4096

_FUNNEL = np.array([(c.signup, c.activation, c.checkout, c.purchase) for c in company.CHANNELS])
# Between two steps in one visit.
_PAUSE_MEDIAN = 100 * SECOND
_LONGEST_PAUSE = 20 * MINUTE
_ACTIVATION_DELAY = 2 * DAY
_ACTIVATED_AT_ONCE = 0.5
_CHECKOUT_DELAY_MEDIAN = 5 * DAY
# One to one.
_TREATED_SHARE = 0.5
# A checkout begun in the last hour would be cut off before its purchase and blur the experiment.
_CHECKOUT_ROOM = HOUR


@dataclass(frozen=True, slots=True)
class People:
    """People of one block, an array each; moments in microseconds, NULL where a step was not reached.

    Args:
        user: Identifier numbers.
        channel: Code of the channel of the first visit.
        device: Code of the device of the first visit.
        country: Code.
        name: Code; NULL without signup.
        first_seen_at: First visit.
        signup_at: During the first visit.
        activation_at: During the first visit or the one of `activation_visit_at`.
        activation_visit_at: NULL where activation came in the first visit or never.
        checkout_visit_at: Visit of the checkout.
        checkout_at: During that visit.
        purchase_at: During that visit.
        treated: Which variant each signed-up person has, experiments × people.
        is_exposed_at_step: Who sees the variant once at its step, experiments × people.
    """

    user: Array
    channel: Array
    device: Array
    country: Array
    name: Array
    first_seen_at: Array
    signup_at: Array
    activation_at: Array
    activation_visit_at: Array
    checkout_visit_at: Array
    checkout_at: Array
    purchase_at: Array
    treated: Array
    is_exposed_at_step: Array

    @property
    def steps(self) -> dict[str, Array]:
        """When each step after the first visit was reached, by event type."""
        return {
            "signup": self.signup_at,
            "activation": self.activation_at,
            "checkout": self.checkout_at,
            "purchase": self.purchase_at,
        }


def draw_people(draws: Draws, calendar: Calendar, block: int, count: int) -> People:
    """The `count` people of a block."""
    channel = draws.pick(choices(*(c.volume for c in company.CHANNELS)), count)
    first_seen_at = calendar.moments(draws, calendar.arrival_days(draws, count))
    treated = draws.uniform(len(company.EXPERIMENTS), count) < _TREATED_SHARE
    signs_up, activates, checks_out, buys = draws.uniform(4, count) < _rates(channel, treated).T

    signup_at = np.where(signs_up, _pause(draws, calendar, first_seen_at), NULL)

    at_once = draws.chance(_ACTIVATED_AT_ONCE, count)
    later = signup_at + _waits(draws, exponential(_ACTIVATION_DELAY), count)
    activates &= signs_up & (at_once | (later < calendar.end))
    activation_visit_at = np.where(activates & ~at_once, later, NULL)
    activation_at = np.where(activates, _pause(draws, calendar, np.where(at_once, signup_at, later)), NULL)

    visit_at = activation_at + _waits(draws, lognormal(_CHECKOUT_DELAY_MEDIAN, 1.0), count)
    checks_out &= activates & (visit_at < calendar.end - _CHECKOUT_ROOM)
    checkout_at = np.where(checks_out, _pause(draws, calendar, visit_at), NULL)
    buys &= checks_out

    return People(
        user=block * BLOCK_PEOPLE + 1 + np.arange(count),
        channel=channel,
        device=_devices(draws, channel),
        country=draws.pick(choices(*company.COUNTRY_SHARES), count),
        name=_names(draws, signs_up),
        first_seen_at=first_seen_at,
        signup_at=signup_at,
        activation_at=activation_at,
        activation_visit_at=activation_visit_at,
        checkout_visit_at=np.where(checks_out, visit_at, NULL),
        checkout_at=checkout_at,
        purchase_at=np.where(buys, _pause(draws, calendar, checkout_at), NULL),
        treated=treated,
        is_exposed_at_step=draws.uniform(len(company.EXPERIMENTS), count)
        < np.array([[e.exposure_share] for e in company.EXPERIMENTS]),
    )


def user_rows(people: People) -> Rows:
    """Rows of bronze.users."""
    return {
        "user_id": people.user,
        "first_seen_at": people.first_seen_at,
        "channel_id": people.channel,
        "country": people.country,
        "device": people.device,
        "name": people.name,
    }


def _rates(channel: Array, treated: Array) -> Array:
    """Probability of signup, activation, checkout and purchase, people × steps, lifts included."""
    rates: Array = _FUNNEL[channel]
    steps = ("signup", "activation", "checkout", "purchase")
    for experiment, is_treated in zip(company.EXPERIMENTS, treated, strict=True):
        rates[:, steps.index(experiment.converts_at)] += experiment.absolute_lift * is_treated
    return rates


def _pause(draws: Draws, calendar: Calendar, since: Array) -> Array:
    """The next step of a visit, a few seconds to minutes later."""
    waits = np.minimum(_waits(draws, lognormal(_PAUSE_MEDIAN, 0.9), len(since)), _LONGEST_PAUSE)
    return calendar.before_end(since + waits)


def _waits(draws: Draws, table: Array, count: int) -> Array:
    return draws.pick(table, count).astype(np.int64)


def _devices(draws: Draws, channel: Array) -> Array:
    return draws.pick_each(np.stack([choices(*c.devices) for c in company.CHANNELS]), channel)


def _names(draws: Draws, signs_up: Array) -> Array:
    count, usual = len(signs_up), len(company.FIRST_NAMES) * len(company.LAST_NAMES)
    drawn, awkward = draws.uniform(2, count)
    name = (drawn * usual).astype(np.int16)
    # The awkward names lie behind the usual ones.
    odd = usual + (awkward * (len(company.AWKWARD_NAMES) / company.AWKWARD_SHARE)).astype(np.int32)
    name = np.where(awkward < company.AWKWARD_SHARE, odd, name).astype(np.int16)
    return np.where(signs_up, name, np.iinfo(np.int16).min).astype(np.int16)
