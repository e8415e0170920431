"""Gold tables: the marts, and with them every metric's one definition (docs/glossary.md prints it)."""

from __future__ import annotations

import pyarrow as pa

from lake.table import COUNT, DATE, FLAG, MONEY, MONEY_SUM, RATIO, TEXT, Column, Layer, Table


def _metric(name: str, kind: pa.DataType, description: str, formula: str, source: str) -> Column:
    return Column(name, kind, description, required=True, formula=formula, source=source)


def _ratio(name: str, description: str, formula: str, source: str, kind: pa.DataType = RATIO) -> Column:
    """A metric without a value (NULL) when its denominator is zero."""
    return Column(name, kind, f"{description}; NULL when nothing to divide by.", False, formula, source)


def _dimension(name: str, kind: pa.DataType, description: str) -> Column:
    return Column(name, kind, description, required=True)


DAILY_KPIS = Table(
    Layer.GOLD,
    "daily_kpis",
    "One row per day from the first event to the last, days without activity included.",
    (
        _dimension("kpi_date", DATE, "Day, UTC."),
        _metric(
            "active_users",
            COUNT,
            "People with an event that day.",
            "distinct user_id of events on the day",
            "silver.events",
        ),
        _metric(
            "weekly_active_users",
            COUNT,
            "People with an event in the seven days that end that day.",
            "distinct user_id of events in [day - 6, day]",
            "silver.events",
        ),
        _metric(
            "new_users", COUNT, "People first seen that day.", "users whose first_seen_date is the day", "silver.users"
        ),
        _metric(
            "sessions", COUNT, "Visits begun that day.", "sessions whose session_date is the day", "silver.sessions"
        ),
        _metric("events", COUNT, "Events that day.", "events on the day", "silver.events"),
        _metric(
            "signups",
            COUNT,
            "People who signed up that day.",
            "distinct user_id with a signup event on the day",
            "silver.events",
        ),
        _metric(
            "activations",
            COUNT,
            "People who first got value that day.",
            "distinct user_id with an activation event on the day",
            "silver.events",
        ),
        _metric(
            "new_subscriptions",
            COUNT,
            "Subscriptions begun that day by people who had none before.",
            "users whose earliest subscription starts on the day",
            "silver.subscriptions",
        ),
        _metric(
            "collected",
            MONEY_SUM,
            "Money paid that day.",
            "sum of amount over successful payments on the day",
            "silver.payments",
        ),
        _metric(
            "refunded",
            MONEY_SUM,
            "Money given back that day.",
            "sum of amount over refunds on the day",
            "silver.refunds",
        ),
        _metric(
            "net_revenue", MONEY_SUM, "Money kept that day.", "collected - refunded", "silver.payments, silver.refunds"
        ),
        _metric(
            "tickets_opened",
            COUNT,
            "Support requests opened that day.",
            "support_tickets whose opened_date is the day",
            "silver.support_tickets",
        ),
        _ratio(
            "signup_rate",
            "Share of new people who signed up, same day",
            "signups / new_users",
            "silver.events, silver.users",
        ),
    ),
    ("kpi_date",),
)

CONVERSION_FUNNEL = Table(
    Layer.GOLD,
    "conversion_funnel",
    "How far people of one first-visit month and channel came: five steps, one row each.",
    (
        _dimension("cohort_month", DATE, "First day of the month of the first visit."),
        _dimension("channel_id", TEXT, "Channel of the first visit."),
        _dimension("step_number", COUNT, "1 to 5."),
        _dimension("step", TEXT, "visit, signup, activation, checkout or purchase."),
        _metric(
            "users",
            COUNT,
            "People who reached this step and every step before it, at any time.",
            "users with at least one event of each type up to the step; all users at visit",
            "silver.users, silver.events",
        ),
        _ratio(
            "step_conversion",
            "Share of the previous step's people who reached this one",
            "users / users of the previous step; 1 at visit",
            "silver.users, silver.events",
        ),
        _ratio(
            "overall_conversion",
            "Share of the visitors who reached this step",
            "users / users at visit",
            "silver.users, silver.events",
        ),
    ),
    ("cohort_month", "channel_id", "step_number"),
)

REVENUE = Table(
    Layer.GOLD,
    "revenue",
    "Movements of monthly recurring revenue (MRR) per month, and what was billed, paid and refunded.",
    (
        _dimension("revenue_month", DATE, "First day of the month."),
        _metric(
            "mrr_start",
            MONEY_SUM,
            "MRR at the month's first moment.",
            "mrr_end of the previous month; 0 in the first",
            "silver.subscriptions, silver.plans",
        ),
        _metric(
            "mrr_new",
            MONEY_SUM,
            "MRR of users who never had any before.",
            "sum over users of MRR at the month's end, where MRR at its start is 0 and was never positive",
            "silver.subscriptions, silver.plans",
        ),
        _metric(
            "mrr_reactivation",
            MONEY_SUM,
            "MRR of users who had some earlier, none at the start.",
            "sum over users of MRR at the month's end, where MRR at its start is 0 and once was positive",
            "silver.subscriptions, silver.plans",
        ),
        _metric(
            "mrr_expansion",
            MONEY_SUM,
            "Growth of MRR of users who had some.",
            "sum over users with MRR at the start of max(end - start, 0)",
            "silver.subscriptions, silver.plans",
        ),
        _metric(
            "mrr_contraction",
            MONEY_SUM,
            "Decline of MRR of users who kept some, as a positive amount.",
            "sum over users with MRR at start and end of max(start - end, 0)",
            "silver.subscriptions, silver.plans",
        ),
        _metric(
            "mrr_churn",
            MONEY_SUM,
            "MRR of users who left, as a positive amount.",
            "sum over users with MRR at the start and none at the end of MRR at the start",
            "silver.subscriptions, silver.plans",
        ),
        _metric(
            "mrr_end",
            MONEY_SUM,
            "MRR at the last moment of the month.",
            "mrr_start + mrr_new + mrr_reactivation + mrr_expansion - mrr_contraction - mrr_churn, "
            "which equals the sum of monthly_price over subscriptions running then",
            "silver.subscriptions, silver.plans",
        ),
        _metric(
            "customers_end",
            COUNT,
            "Users with MRR at the last moment of the month.",
            "distinct user_id of subscriptions running then",
            "silver.subscriptions",
        ),
        _metric("invoiced", MONEY_SUM, "Money billed in the month.", "sum of amount over invoices", "silver.invoices"),
        _metric(
            "collected",
            MONEY_SUM,
            "Money paid in the month.",
            "sum of amount over successful payments",
            "silver.payments",
        ),
        _metric(
            "refunded", MONEY_SUM, "Money given back in the month.", "sum of amount over refunds", "silver.refunds"
        ),
        _ratio(
            "gross_churn_rate",
            "Share of the starting MRR that was lost",
            "(mrr_churn + mrr_contraction) / mrr_start",
            "silver.subscriptions, silver.plans",
        ),
        _ratio(
            "net_revenue_retention",
            "What became of the starting MRR, new users left out",
            "(mrr_start + mrr_expansion - mrr_contraction - mrr_churn) / mrr_start",
            "silver.subscriptions, silver.plans",
        ),
    ),
    ("revenue_month",),
)

CHANNEL_PERFORMANCE = Table(
    Layer.GOLD,
    "channel_performance",
    "What each marketing channel cost and brought, per month of spend and first visit.",
    (
        _dimension("channel_month", DATE, "First day of the month."),
        _dimension("channel_id", TEXT, "Channel."),
        _dimension("channel_name", TEXT, "Name for people."),
        _dimension("channel_kind", TEXT, "paid, organic, referral or email."),
        _metric("spend", MONEY_SUM, "Money spent in the month.", "sum of amount", "silver.marketing_spend"),
        _metric("impressions", COUNT, "Advertisements shown.", "sum of impressions", "silver.marketing_spend"),
        _metric("clicks", COUNT, "Advertisements clicked.", "sum of clicks", "silver.marketing_spend"),
        _metric(
            "new_users",
            COUNT,
            "People first seen in the month through the channel.",
            "users by month of first_seen_date and channel_id",
            "silver.users",
        ),
        _metric(
            "new_customers",
            COUNT,
            "People who first subscribed in the month, by their first channel.",
            "users by month of earliest subscription start and channel_id of the user",
            "silver.subscriptions, silver.users",
        ),
        _metric(
            "net_revenue",
            MONEY_SUM,
            "Money kept in the month from people of the channel.",
            "successful payments - refunds, by month and channel_id of the paying user",
            "silver.payments, silver.refunds, silver.invoices, silver.users",
        ),
        _ratio(
            "click_through_rate",
            "Share of shown advertisements that were clicked",
            "clicks / impressions",
            "silver.marketing_spend",
        ),
        _ratio(
            "cac",
            "Customer acquisition cost, to the nearest cent (half away from zero)",
            "spend / new_customers",
            "silver.marketing_spend, silver.subscriptions",
            MONEY,
        ),
        _ratio(
            "roas",
            "Return on advertising spend",
            "net_revenue / spend",
            "silver.payments, silver.refunds, silver.marketing_spend",
        ),
    ),
    ("channel_month", "channel_id"),
)

_HEALTH = "silver.events, silver.support_tickets, silver.payments, silver.subscriptions"
CUSTOMER_HEALTH = Table(
    Layer.GOLD,
    "customer_health",
    "Every user who ever subscribed: how likely they stay, as a score with its parts, as of the last event.",
    (
        _dimension("user_id", TEXT, "User."),
        Column("name", TEXT, "Name as typed by the person."),
        _dimension("country", TEXT, "ISO 3166-1 alpha-2 code."),
        _dimension("channel_id", TEXT, "Channel of the first visit."),
        _dimension("as_of_date", DATE, "Day the figures speak of: the day of the newest event."),
        _dimension("is_active", FLAG, "Whether a subscription runs."),
        _metric(
            "tenure_days",
            COUNT,
            "Days since the first subscription.",
            "as_of_date - first start_date",
            "silver.subscriptions",
        ),
        _metric(
            "mrr",
            MONEY,
            "Monthly recurring revenue; 0 when none runs.",
            "sum of monthly_price of running subscriptions",
            "silver.subscriptions, silver.plans",
        ),
        _metric(
            "active_days_28",
            COUNT,
            "Days with an event among the last 28.",
            "distinct event_date in (as_of_date - 28, as_of_date]",
            "silver.events",
        ),
        _metric(
            "tickets_90",
            COUNT,
            "Support requests in the last 90 days.",
            "support_tickets opened in (as_of_date - 90, as_of_date]",
            "silver.support_tickets",
        ),
        Column(
            "mean_satisfaction",
            RATIO,
            "Mean satisfaction over all answered requests; NULL without one.",
            False,
            "sum of satisfaction / number of answers",
            "silver.support_tickets",
        ),
        _metric(
            "failed_payments_90",
            COUNT,
            "Failed payment attempts in the last 90 days.",
            "payments with status failed in (as_of_date - 90, as_of_date]",
            "silver.payments",
        ),
        _metric(
            "engagement_score",
            RATIO,
            "0 to 40: use of the product.",
            "40 * min(active_days_28, 12) / 12",
            "silver.events",
        ),
        _metric(
            "support_score",
            RATIO,
            "0 to 30: experience with support; 20 without an answer.",
            "30 * (mean_satisfaction - 1) / 4, minus 3 per request beyond the second in 90 days, not below 0",
            "silver.support_tickets",
        ),
        _metric(
            "billing_score",
            RATIO,
            "0 to 20: payments that work.",
            "20 - 10 * min(failed_payments_90, 2)",
            "silver.payments",
        ),
        _metric(
            "tenure_score",
            RATIO,
            "0 to 10: time as a customer.",
            "10 * min(tenure_days, 365) / 365",
            "silver.subscriptions",
        ),
        _metric(
            "health_score",
            RATIO,
            "0 to 100, higher is healthier.",
            "engagement_score + support_score + billing_score + tenure_score",
            _HEALTH,
        ),
        _dimension("health_band", TEXT, "churned (no subscription runs), at_risk (< 40), watch (< 70), healthy."),
    ),
    ("user_id",),
)

_AB = "silver.experiment_assignments, silver.experiment_exposures, silver.experiment_conversions"
EXPERIMENT_PERFORMANCE = Table(
    Layer.GOLD,
    "experiment_performance",
    "One row per experiment: exposed users of treatment against control, two-sided at 95 %.",
    (
        _dimension("experiment_id", TEXT, "Experiment."),
        _metric("control_users", COUNT, "Exposed users of control.", "distinct assigned users with an exposure", _AB),
        _metric(
            "treatment_users", COUNT, "Exposed users of treatment.", "distinct assigned users with an exposure", _AB
        ),
        _metric(
            "control_conversions",
            COUNT,
            "Those of control who converted at or after exposure.",
            "distinct exposed users with converted_at >= first exposed_at",
            _AB,
        ),
        _metric(
            "treatment_conversions",
            COUNT,
            "Those of treatment who converted at or after exposure.",
            "distinct exposed users with converted_at >= first exposed_at",
            _AB,
        ),
        _ratio("control_rate", "Conversion rate of control p1", "control_conversions / control_users", _AB),
        _ratio("treatment_rate", "Conversion rate of treatment p2", "treatment_conversions / treatment_users", _AB),
        _ratio("absolute_lift", "Difference of the rates", "p2 - p1", _AB),
        _ratio("relative_lift", "Difference as a share of control", "(p2 - p1) / p1", _AB),
        _ratio(
            "lift_ci_low",
            "Lower end of the 95 % interval of absolute_lift",
            "(p2 - p1) - 1.959963984540054 * sqrt(p1 (1 - p1) / n1 + p2 (1 - p2) / n2) (Wald)",
            f"{_AB}; Agresti, Categorical Data Analysis, 3rd ed., section 3.1",
        ),
        _ratio(
            "lift_ci_high",
            "Upper end of the 95 % interval of absolute_lift",
            "as lift_ci_low with +",
            f"{_AB}; Agresti, Categorical Data Analysis, 3rd ed., section 3.1",
        ),
        _ratio(
            "z_score",
            "Test statistic of equal rates",
            "(p2 - p1) / sqrt(p (1 - p) (1 / n1 + 1 / n2)), p pooled",
            f"{_AB}; two-proportion z-test, pooled",
        ),
        _ratio(
            "p_value",
            "Two-sided p-value of z_score, absolute error below 1e-6",
            "2 (1 - Phi(|z|)), Phi by polynomial 26.2.17",
            f"{_AB}; Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.17",
        ),
        _ratio(
            "sample_ratio_p_value",
            "p-value that assignment is one to one",
            "2 (1 - Phi(|n2 - n1| / sqrt(n1 + n2))) over assigned users, the chi-square test with 1 degree",
            f"{_AB}; Fabijan et al., Diagnosing Sample Ratio Mismatch, KDD 2019",
        ),
        _dimension("has_sample_ratio_mismatch", FLAG, "sample_ratio_p_value < 0.001."),
        _dimension("is_significant", FLAG, "p_value < 0.05 and no sample ratio mismatch."),
    ),
    ("experiment_id",),
)

MARTS = (
    DAILY_KPIS,
    CONVERSION_FUNNEL,
    REVENUE,
    CHANNEL_PERFORMANCE,
    CUSTOMER_HEALTH,
    EXPERIMENT_PERFORMANCE,
)
