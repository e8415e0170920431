"""The made-up company: every parameter behind the generated rows, in one place.

These are the truth that ``_ground_truth.json`` states; change one and `FORMAT_VERSION` of truth.py goes up.
Rates are probabilities, money is integer cents, times are in the unit their name says.
"""

from __future__ import annotations

from dataclasses import dataclass

USERS_AT_SCALE_ONE = 20_000


@dataclass(frozen=True, slots=True)
class Channel:
    """Where people come from, how far they get, and what that costs.

    Args:
        channel_id: Identifier.
        name: Name for people.
        kind: paid, organic, referral or email.
        volume: Share of new people.
        signup: Visitors who sign up.
        activation: Signed-up people who get value from the product.
        checkout: Activated people who open the checkout.
        purchase: Checkouts of the control variant that end in a purchase.
        devices: Shares of desktop, mobile and tablet.
        click_cents: Price of a click; 0 where nothing is spent.
        clicks_per_visitor: Clicks paid for each new person.
        click_through: Clicks per impression.
    """

    channel_id: str
    name: str
    kind: str
    volume: float
    signup: float
    activation: float
    checkout: float
    purchase: float
    devices: tuple[float, float, float]
    click_cents: int = 0
    clicks_per_visitor: float = 0.0
    click_through: float = 0.0


CHANNELS = (
    Channel("ch_search_ads", "Search ads", "paid", 0.24, 0.46, 0.62, 0.72, 0.50, (0.62, 0.33, 0.05), 410, 2.6, 0.031),
    Channel("ch_social_ads", "Social ads", "paid", 0.22, 0.36, 0.50, 0.60, 0.38, (0.18, 0.74, 0.08), 190, 3.4, 0.009),
    Channel("ch_search", "Search", "organic", 0.26, 0.48, 0.66, 0.74, 0.56, (0.58, 0.37, 0.05)),
    Channel("ch_friends", "Friends", "referral", 0.10, 0.60, 0.72, 0.80, 0.64, (0.40, 0.55, 0.05)),
    Channel("ch_partners", "Partners", "referral", 0.06, 0.52, 0.68, 0.76, 0.58, (0.75, 0.21, 0.04), 620, 1.9, 0.042),
    Channel("ch_newsletter", "Newsletter", "email", 0.12, 0.50, 0.68, 0.76, 0.58, (0.50, 0.45, 0.05), 14, 1.8, 0.026),
)
# Later visits arrive by the first channel, by search or by the newsletter.
RETURN_CHANNELS = ("ch_search", "ch_newsletter")
RETURN_CHANNEL_SHARES = (0.60, 0.25, 0.15)
OWN_DEVICE_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class Plan:
    """What can be subscribed to: price of a month in cents, tier from 1, share among first purchases."""

    plan_id: str
    name: str
    monthly_cents: int
    tier: int
    first_share: float
    base_churn: float


PLANS = (
    Plan("plan_basic", "Basic", 1_900, 1, 0.55, 0.045),
    Plan("plan_pro", "Pro", 4_900, 2, 0.33, 0.030),
    Plan("plan_business", "Business", 14_900, 3, 0.12, 0.018),
)
UPGRADE_PER_MONTH = 0.020
DOWNGRADE_PER_MONTH = 0.009
# Once after leaving, at most.
REACTIVATION_PER_MONTH = 0.025


@dataclass(frozen=True, slots=True)
class Churn:
    """Monthly hazard of leaving: base of the plan * exp(sensitivity * (neutral - mean satisfaction)), capped.

    Mean satisfaction is over all answers to requests opened up to the month; `neutral` stands in without one.
    """

    sensitivity: float = 0.8
    neutral: float = 3.5
    cap: float = 0.6


CHURN = Churn()


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment over signed-up people, one to one.

    Args:
        experiment_id: Identifier.
        exposed_at: Funnel step that shows the variant.
        converts_at: Funnel step it hopes for.
        absolute_lift: What treatment adds to the probability of that step.
        exposure_share: People at the step who see the variant.
    """

    experiment_id: str
    exposed_at: str
    converts_at: str
    absolute_lift: float
    exposure_share: float


CHECKOUT_BUTTON = Experiment("exp_checkout_button", "checkout", "purchase", 0.12, 1.0)
ONBOARDING_VIDEO = Experiment("exp_onboarding_video", "signup", "activation", 0.0, 0.92)
EXPERIMENTS = (CHECKOUT_BUTTON, ONBOARDING_VIDEO)

# Every country a clean row can have; anything else in generated rows is dirt.
COUNTRIES = ("BR", "CN", "DE", "ES", "FR", "GB", "IN", "IT", "JP", "NL", "PL", "US")
COUNTRY_SHARES = (0.06, 0.04, 0.19, 0.07, 0.09, 0.12, 0.06, 0.06, 0.03, 0.05, 0.05, 0.18)

# Monday to Sunday.
WEEKDAY_ACTIVITY = (1.08, 1.12, 1.10, 1.05, 0.95, 0.62, 0.58)
# Activity swings by this share over the year and is highest on this day of it.
YEARLY_SWING = 0.22
YEARLY_PEAK_DAY = 20
GROWTH_PER_YEAR = 0.6
# Midnight to midnight, UTC.
HOURLY_ACTIVITY = (2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 13, 12, 11, 12, 13, 12, 11, 10, 9, 9, 9, 8, 6, 4)

REQUESTS_PER_MEMBER_MONTH = 0.16
REQUEST_SHARE_OF_FREE_USERS = 0.05
PRIORITY_SHARES = (0.25, 0.50, 0.18, 0.07)
# Low, normal, high, urgent.
RESPONSE_MEDIAN_HOURS = (10.0, 4.5, 1.8, 0.5)
CATEGORY_SHARES = (0.24, 0.26, 0.36, 0.14)
UNANSWERED_SHARE = 0.03
SCORED_SHARE = 0.55

METHOD_SHARES = (0.72, 0.10, 0.18)
# Some payers' cards fail often, the others' seldom.
RISKY_PAYERS = 0.08
FAILURE_RISKY = 0.30
FAILURE_USUAL = 0.03
RETRY_AFTER_DAYS = (0, 3, 8)
REFUND_SHARE = 0.04
FULL_REFUND_SHARE = 0.6
REASON_SHARES = (0.70, 0.24, 0.06)

FIRST_NAMES = (
    "Ada", "Aiko", "Alan", "Amélie", "Anna", "Björn", "Carlos", "Chloé", "Dmitri", "Elena", "Émile", "Fatima", "Grace",
    "Hana", "Ines", "Jonas", "José", "Kenji", "Lars", "Lucía", "Łukasz", "Maja", "Mateo", "Mei", "Noor", "Olga",
    "Priya", "Renée", "Sofia", "Søren", "Tariq", "Uma", "Víctor", "Wei", "Ximena", "Yara", "Zoë", "李",
)  # fmt: skip
LAST_NAMES = (
    "Andersson", "Bauer", "Bianchi", "Costa", "de Vries", "Dubois", "Fernández", "García", "Haddad", "Ivanova",
    "Jansen", "Jones", "Kowalska", "Kumar", "Lefèvre", "Lovelace", "Martin", "Müller", "Muñoz", "Nakamura", "Núñez",
    "O'Neill", "Okafor", "Patel", "Peña", "Rossi", "Sato", "Schäfer", "Silva", "Smith", "Tanaka", "Weiß", "Yılmaz",
    "Zhang", "王", "小龍",
)  # fmt: skip
# Names a spreadsheet would run as a formula, or that a careless parser would cut.
AWKWARD_NAMES = ("=1+2 GmbH", "+Co", "@home", "-7 Degrees Ltd", "=SUM(A1:A9)", 'Ann "Ace" Lee', "Lee, Ann")
AWKWARD_SHARE = 0.01
