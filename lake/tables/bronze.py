"""Bronze tables: what lands, column by column, as received."""

from __future__ import annotations

from lake.table import COUNT, DATE, INGEST_COLUMNS, MONEY, TEXT, TIMESTAMP, Column, Layer, Table


def _bronze(name: str, description: str, key: str, *columns: Column) -> Table:
    return Table(Layer.BRONZE, name, description, (*columns, *INGEST_COLUMNS), (key,))


USERS = _bronze(
    "users",
    "Everyone the product has seen, visitors included.",
    "user_id",
    Column("user_id", TEXT, "Identifier of the person."),
    Column("first_seen_at", TIMESTAMP, "First visit."),
    Column("channel_id", TEXT, "Marketing channel of the first visit."),
    Column("country", TEXT, "ISO 3166-1 alpha-2 code."),
    Column("device", TEXT, "desktop, mobile or tablet."),
    Column("name", TEXT, "Name as typed by the person."),
)
SESSIONS = _bronze(
    "sessions",
    "Visits to the product.",
    "session_id",
    Column("session_id", TEXT, "Identifier of the visit."),
    Column("user_id", TEXT, "Who visited."),
    Column("started_at", TIMESTAMP, "First event."),
    Column("ended_at", TIMESTAMP, "Last event."),
    Column("channel_id", TEXT, "Marketing channel of this visit."),
    Column("device", TEXT, "desktop, mobile or tablet."),
)
EVENTS = _bronze(
    "events",
    "What people did in the product.",
    "event_id",
    Column("event_id", TEXT, "Identifier of the event."),
    Column("session_id", TEXT, "Visit it belongs to."),
    Column("user_id", TEXT, "Who did it."),
    Column("occurred_at", TIMESTAMP, "When it happened."),
    Column("event_type", TEXT, "page_view, signup, activation, feature_use, checkout or purchase."),
    Column("latency_ms", COUNT, "Time the product took to answer, milliseconds."),
)
MARKETING_CHANNELS = _bronze(
    "marketing_channels",
    "Where visitors come from.",
    "channel_id",
    Column("channel_id", TEXT, "Identifier of the channel."),
    Column("name", TEXT, "Name for people."),
    Column("kind", TEXT, "paid, organic, referral or email."),
)
MARKETING_SPEND = _bronze(
    "marketing_spend",
    "Money spent per channel and day.",
    "spend_id",
    Column("spend_id", TEXT, "Identifier of the booking."),
    Column("channel_id", TEXT, "Channel the money went to."),
    Column("spend_date", DATE, "Day of the spend, UTC."),
    Column("amount", MONEY, "Money spent."),
    Column("impressions", COUNT, "Times an advertisement was shown."),
    Column("clicks", COUNT, "Times it was clicked."),
)
PLANS = _bronze(
    "plans",
    "What customers can subscribe to.",
    "plan_id",
    Column("plan_id", TEXT, "Identifier of the plan."),
    Column("name", TEXT, "Name for people."),
    Column("monthly_price", MONEY, "Price of one month."),
    Column("tier", COUNT, "Rank of the plan, 1 the smallest."),
)
SUBSCRIPTIONS = _bronze(
    "subscriptions",
    "Periods in which a user paid for one plan; a change of plan ends one and starts the next.",
    "subscription_id",
    Column("subscription_id", TEXT, "Identifier of the period."),
    Column("user_id", TEXT, "Who subscribed."),
    Column("plan_id", TEXT, "To what."),
    Column("started_at", TIMESTAMP, "First moment of the period."),
    Column("ended_at", TIMESTAMP, "First moment after the period; NULL while it runs."),
    Column("end_reason", TEXT, "cancelled or plan_change; NULL while it runs."),
)
INVOICES = _bronze(
    "invoices",
    "What was billed.",
    "invoice_id",
    Column("invoice_id", TEXT, "Identifier of the invoice."),
    Column("subscription_id", TEXT, "Subscription it bills."),
    Column("user_id", TEXT, "Who owes it."),
    Column("issued_at", TIMESTAMP, "When it was issued."),
    Column("period_start", DATE, "First day billed."),
    Column("period_end", DATE, "First day not billed."),
    Column("amount", MONEY, "Money billed."),
)
PAYMENTS = _bronze(
    "payments",
    "Attempts to pay an invoice.",
    "payment_id",
    Column("payment_id", TEXT, "Identifier of the attempt."),
    Column("invoice_id", TEXT, "Invoice it pays."),
    Column("paid_at", TIMESTAMP, "When it was tried."),
    Column("amount", MONEY, "Money moved when it succeeded."),
    Column("status", TEXT, "succeeded or failed."),
    Column("method", TEXT, "card, transfer or wallet."),
)
REFUNDS = _bronze(
    "refunds",
    "Money given back.",
    "refund_id",
    Column("refund_id", TEXT, "Identifier of the refund."),
    Column("payment_id", TEXT, "Payment it reverses."),
    Column("refunded_at", TIMESTAMP, "When it was given back."),
    Column("amount", MONEY, "Money given back."),
    Column("reason", TEXT, "dissatisfied, mistake or fraud."),
)
SUPPORT_TICKETS = _bronze(
    "support_tickets",
    "Requests to support.",
    "ticket_id",
    Column("ticket_id", TEXT, "Identifier of the request."),
    Column("user_id", TEXT, "Who asked."),
    Column("opened_at", TIMESTAMP, "When it was opened."),
    Column("first_response_at", TIMESTAMP, "First human answer; NULL while none."),
    Column("resolved_at", TIMESTAMP, "When it was solved; NULL while open."),
    Column("priority", TEXT, "low, normal, high or urgent."),
    Column("category", TEXT, "billing, bug, how_to or account."),
    Column("satisfaction", COUNT, "Score the user gave, 1 (bad) to 5 (good); NULL without an answer."),
)
EXPERIMENT_ASSIGNMENTS = _bronze(
    "experiment_assignments",
    "Which user got which variant.",
    "assignment_id",
    Column("assignment_id", TEXT, "Identifier of the assignment."),
    Column("experiment_id", TEXT, "Experiment."),
    Column("user_id", TEXT, "User."),
    Column("variant", TEXT, "control or treatment."),
    Column("assigned_at", TIMESTAMP, "When the variant was drawn."),
)
EXPERIMENT_EXPOSURES = _bronze(
    "experiment_exposures",
    "When an assigned user saw the variant.",
    "exposure_id",
    Column("exposure_id", TEXT, "Identifier of the exposure."),
    Column("experiment_id", TEXT, "Experiment."),
    Column("user_id", TEXT, "User."),
    Column("exposed_at", TIMESTAMP, "When it was seen."),
)
EXPERIMENT_CONVERSIONS = _bronze(
    "experiment_conversions",
    "When a user did what the experiment hopes for.",
    "conversion_id",
    Column("conversion_id", TEXT, "Identifier of the conversion."),
    Column("experiment_id", TEXT, "Experiment."),
    Column("user_id", TEXT, "User."),
    Column("converted_at", TIMESTAMP, "When it was done."),
)
TRANSACTIONS = _bronze(
    "transactions",
    "Card payments of account holders, one row each.",
    "transaction_id",
    Column("transaction_id", TEXT, "Identifier of the transaction."),
    Column("account_id", TEXT, "Account that pays."),
    Column("merchant_id", TEXT, "Merchant that is paid."),
    Column("category", TEXT, "What the merchant sells, such as grocery."),
    Column("occurred_at", TIMESTAMP, "When the payment was authorised."),
    Column("amount", MONEY, "Amount, in the ledger's currency."),
    Column("currency", TEXT, "ISO 4217 code the account is held in, such as EUR."),
    Column("channel", TEXT, "in_store or online."),
)

# The generated company's tables, which the medallion flow builds.
COMPANY = (
    USERS,
    SESSIONS,
    EVENTS,
    MARKETING_CHANNELS,
    MARKETING_SPEND,
    PLANS,
    SUBSCRIPTIONS,
    INVOICES,
    PAYMENTS,
    REFUNDS,
    SUPPORT_TICKETS,
    EXPERIMENT_ASSIGNMENTS,
    EXPERIMENT_EXPOSURES,
    EXPERIMENT_CONVERSIONS,
)

BRONZE = (*COMPANY, TRANSACTIONS)
