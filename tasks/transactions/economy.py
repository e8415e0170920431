"""The made-up card business: every parameter behind generated transactions, in one place.

Change one and `FORMAT_VERSION` goes up. Shares and weights are relative, money is integer cents, times are in the unit
their name says.
"""

from __future__ import annotations

from dataclasses import dataclass

# Goes up when the same settings begin to give other rows.
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Category:
    """What merchants sell.

    Args:
        name: As written in the rows.
        merchants: Weight among merchants.
        median_cents: Median amount of a transaction.
        sigma: Standard deviation of the amount's logarithm.
        online: Share of merchants that sell online.
    """

    name: str
    merchants: float
    median_cents: int
    sigma: float
    online: float


CATEGORIES = (
    Category("grocery", 0.20, 3_200, 0.50, 0.10),
    Category("restaurant", 0.16, 2_800, 0.45, 0.05),
    Category("cafe", 0.09, 1_100, 0.40, 0.00),
    Category("fuel", 0.08, 4_400, 0.35, 0.00),
    Category("transport", 0.08, 1_500, 0.45, 0.55),
    Category("pharmacy", 0.07, 1_900, 0.50, 0.20),
    Category("clothing", 0.07, 4_800, 0.50, 0.50),
    Category("entertainment", 0.06, 2_200, 0.45, 0.60),
    Category("subscription", 0.05, 1_300, 0.35, 1.00),
    Category("home", 0.05, 5_200, 0.50, 0.40),
    Category("utilities", 0.04, 5_800, 0.40, 0.90),
    Category("health", 0.03, 4_600, 0.50, 0.10),
    Category("electronics", 0.01, 9_500, 0.55, 0.70),
    Category("travel", 0.01, 16_000, 0.60, 0.90),
)
# Amounts end this many standard deviations of the logarithm from the median: shops have a dearest basket.
LARGEST_DEVIATE = 2.5
# Nobody spends just anything: an amount further above the account's mean than this many deviations is folded back, in
# the logarithm. Lower, and fewer natural amounts look out of line.
BUDGET_DEVIATIONS = 2.0


@dataclass(frozen=True, slots=True)
class Segment:
    """Who holds accounts.

    Args:
        name: For readers of this file.
        share: Of accounts.
        spending: Factor on amounts.
        activity: Weight of an account's number of transactions.
        rhythms: Weights of `RHYTHMS`.
    """

    name: str
    share: float
    spending: float
    activity: float
    rhythms: tuple[float, float, float, float]


SEGMENTS = (
    Segment("student", 0.18, 0.6, 1.1, (0.05, 0.15, 0.45, 0.35)),
    Segment("family", 0.32, 1.1, 1.2, (0.30, 0.25, 0.40, 0.05)),
    Segment("professional", 0.28, 1.4, 1.1, (0.15, 0.55, 0.25, 0.05)),
    Segment("retired", 0.16, 0.8, 0.7, (0.60, 0.30, 0.10, 0.00)),
    Segment("business", 0.06, 2.5, 1.3, (0.20, 0.70, 0.05, 0.05)),
)
# Weight of each hour of the day, UTC.
RHYTHMS = {
    "early": (1, 1, 1, 1, 2, 6, 12, 14, 13, 12, 10, 9, 8, 7, 6, 6, 5, 4, 3, 2, 2, 1, 1, 1),
    "office": (1, 1, 1, 1, 1, 2, 5, 8, 6, 5, 5, 8, 13, 9, 5, 5, 6, 9, 10, 7, 4, 3, 2, 1),
    "evening": (2, 1, 1, 1, 1, 1, 2, 3, 4, 4, 4, 5, 6, 5, 5, 6, 8, 11, 13, 13, 11, 8, 5, 3),
    "night": (12, 10, 8, 5, 3, 2, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 6, 7, 8, 9, 11, 12, 13),
}
CURRENCIES = ("EUR", "USD", "GBP")
CURRENCY_SHARES = (0.55, 0.30, 0.15)
CHANNELS = ("in_store", "online")
WEEKDAY_ACTIVITY = (0.95, 0.94, 0.97, 1.00, 1.12, 1.14, 0.88)

# How an account's transactions fall on its home merchants; the last share goes to any merchant.
HOME_SHARES = (0.30, 0.22, 0.16, 0.12, 0.10, 0.07, 0.03)
HOME_MERCHANTS = len(HOME_SHARES) - 1
ACCOUNTS_PER_MERCHANT = 20
FEWEST_MERCHANTS = 50
# An account's weight within its segment, and a day's within the account: uniform between these.
ACCOUNT_ACTIVITY = (0.6, 1.4)
DAY_ACTIVITY = (0.1, 1.9)
# Regular accounts, which bear a burst or a busy day, have a share between these of the mean number of transactions.
REGULAR_ACTIVITY = (0.6, 1.0)

# Transactions of one kind; both ends are drawn.
BURST_ROWS = (11, 30)
BUSY_DAY_ROWS = (16, 32)
CARD_TESTING_CENTS = (0, 500)
DECOY_CENTS = (500, 4_000)
# Deviations above the account's mean.
OUT_OF_LINE_DEVIATIONS = (4.0, 12.0)
# Very high amounts follow a Pareto distribution up to a largest amount.
VERY_HIGH_SHAPE = 1.1
LARGEST_CENTS = 50_000_000
