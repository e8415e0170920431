"""Gold tables of the transactions flow, and the truth about generated transactions (docs/detection.md)."""

from __future__ import annotations

import pyarrow as pa

from lake.table import COUNT, DATE, MONEY, MONEY_SUM, RATIO, TEXT, TIMESTAMP, Column, Layer, Table

_DETECTED = (
    Column("detected_at", TIMESTAMP, "When the run that judged the row began.", True),
    Column("run_id", TEXT, "Run that judged it.", True),
    Column("source_version", COUNT, "Version of silver.transactions it was judged on.", True),
)

TRANSACTION_ANOMALIES = Table(
    Layer.GOLD,
    "transaction_anomalies",
    "Transactions that fired a rule, and those that belong to the burst of one that did.",
    (
        Column("transaction_id", TEXT, "Transaction.", True),
        Column("account_id", TEXT, "Account that paid.", True),
        Column("merchant_id", TEXT, "Merchant that was paid.", True),
        Column("category", TEXT, "What the merchant sells.", True),
        Column("occurred_at", TIMESTAMP, "When the payment was authorised.", True),
        Column("amount", MONEY, "Amount, in the ledger's currency.", True),
        Column("currency", TEXT, "ISO 4217 code the account is held in.", True),
        Column("rules", pa.list_(TEXT), "Rules that fired, by name in alphabetical order; none for a burst's first ten.", True),
        Column("score", RATIO, "0 when no rule fired, else from 0.5 towards 1 the further and the more rules fired.", True),
        Column("burst_id", TEXT, "First transaction of the burst it belongs to; NULL outside of bursts."),
        Column("window_count", COUNT, "Transactions of the account in the window that ends with this one, itself included; NULL outside of bursts."),
        Column("amount_basis", TEXT, "account or peers: whose other transactions the amount is compared with; NULL when `high_amount` did not fire."),
        Column("amount_center", RATIO, "Mean (or median) they have; NULL when `high_amount` did not fire."),
        Column("amount_spread", RATIO, "Their standard deviation (or MAD), 0 when all are equal; NULL when `high_amount` did not fire."),
        Column("amount_z", RATIO, "Distance from the center in spreads (modified z for MAD); NULL when `high_amount` did not fire or the spread is 0."),
        Column("day_count", COUNT, "Transactions of the account that day, UTC; NULL when `frequency` did not fire."),
        Column("day_mean", RATIO, "Mean of the account's other days; NULL when `frequency` did not fire."),
        Column("day_z", RATIO, "Distance of the day's count from it in deviations; NULL when `frequency` did not fire or they are all equal."),
        *_DETECTED,
    ),
    ("transaction_id",),
)  # fmt: skip

_BY_RULE = (
    Column("velocity", COUNT, "Transactions that fired velocity.", True),
    Column("high_amount", COUNT, "Transactions that fired high_amount.", True),
    Column("very_high_amount", COUNT, "Transactions that fired very_high_amount.", True),
    Column("frequency", COUNT, "Transactions that fired frequency.", True),
)

DAILY_TRANSACTION_SUMMARY = Table(
    Layer.GOLD,
    "daily_transaction_summary",
    "One row per day with transactions.",
    (
        Column("transaction_date", DATE, "Day, UTC.", True),
        Column("transactions", COUNT, "Transactions.", True),
        Column("amount", MONEY_SUM, "Their sum.", True),
        Column("anomalies", COUNT, "Transactions that fired at least one rule.", True),
        Column("anomalous_amount", MONEY_SUM, "Their sum.", True),
        *_BY_RULE,
        *_DETECTED,
    ),
    ("transaction_date",),
)

MERCHANT_SUMMARY = Table(
    Layer.GOLD,
    "merchant_summary",
    "One row per merchant.",
    (
        Column("merchant_id", TEXT, "Merchant.", True),
        Column("transactions", COUNT, "Transactions.", True),
        Column("amount", MONEY_SUM, "Their sum.", True),
        Column("anomalies", COUNT, "Transactions that fired at least one rule.", True),
        Column("anomalous_amount", MONEY_SUM, "Their sum.", True),
        Column("anomaly_rate", RATIO, "anomalies / transactions.", True),
        *_DETECTED,
    ),
    ("merchant_id",),
)

ACCOUNT_SUMMARY = Table(
    Layer.GOLD,
    "account_summary",
    "One row per account.",
    (
        Column("account_id", TEXT, "Account.", True),
        Column("transactions", COUNT, "Transactions.", True),
        Column("active_days", COUNT, "Days with a transaction, UTC.", True),
        Column("first_date", DATE, "First of them.", True),
        Column("last_date", DATE, "Last of them.", True),
        Column("amount", MONEY_SUM, "Sum of the amounts.", True),
        Column("largest_amount", MONEY, "Largest amount.", True),
        Column("anomalies", COUNT, "Transactions that fired at least one rule.", True),
        Column("highest_score", RATIO, "Highest score of them; 0 when there are none.", True),
        *_DETECTED,
    ),
    ("account_id",),
)

ANOMALIES = (TRANSACTION_ANOMALIES, DAILY_TRANSACTION_SUMMARY, MERCHANT_SUMMARY, ACCOUNT_SUMMARY)

TRANSACTION_TRUTH = Table(
    Layer.AUDIT,
    "transaction_truth",
    "What was injected into generated transactions; detection never reads it.",
    (
        Column("transaction_id", TEXT, "Transaction.", True),
        Column("rule", TEXT, "Rule it must fire; `none` for a decoy just inside a boundary.", True),
        Column("why", TEXT, "What was injected, in a word: card_testing, out_of_line, very_high, busy_day or the decoy's name.", True),
    ),
    ("transaction_id", "rule"),
)  # fmt: skip
