"""Silver tables: bronze rows that are complete, valid, conformed and seen once.

A silver table has its bronze table's columns (required where the business cannot do without),
the columns its model derives, and the ingest columns that lead each row back to its line.
"""

from __future__ import annotations

from dataclasses import replace

from lake.table import COUNT, DATE, FLAG, INGEST_COLUMNS, Column, Layer, Table
from lake.tables import bronze


def _silver(source: Table, optional: tuple[str, ...], *derived: Column) -> Table:
    received = tuple(replace(c, required=c.name not in optional) for c in source.payload)
    return Table(
        Layer.SILVER,
        source.name,
        source.description,
        (*received, *derived, *INGEST_COLUMNS),
        source.key,
    )


def _day(name: str, of: str) -> Column:
    return Column(name, DATE, f"Day of {of}, UTC.", required=True)


# The generated company's tables, which the medallion flow builds.
COMPANY = (
    _silver(bronze.USERS, ("name",), _day("first_seen_date", "the first visit")),
    _silver(
        bronze.SESSIONS,
        (),
        _day("session_date", "the start"),
        Column("duration_s", COUNT, "Length of the visit, whole seconds.", required=True),
    ),
    _silver(bronze.EVENTS, (), _day("event_date", "the event")),
    _silver(
        bronze.MARKETING_CHANNELS,
        (),
        Column("is_paid", FLAG, "Whether clicks cost money.", required=True),
    ),
    _silver(bronze.MARKETING_SPEND, ()),
    _silver(bronze.PLANS, ()),
    _silver(
        bronze.SUBSCRIPTIONS,
        ("ended_at", "end_reason"),
        _day("start_date", "the start"),
        Column("end_date", DATE, "Day of the end, UTC; NULL while it runs."),
        Column("is_active", FLAG, "Whether it still runs.", required=True),
    ),
    _silver(bronze.INVOICES, (), _day("issued_date", "issue")),
    _silver(
        bronze.PAYMENTS,
        (),
        _day("paid_date", "the attempt"),
        Column("is_successful", FLAG, "Whether the money moved.", required=True),
    ),
    _silver(bronze.REFUNDS, (), _day("refunded_date", "the refund")),
    _silver(
        bronze.SUPPORT_TICKETS,
        ("first_response_at", "resolved_at", "satisfaction"),
        _day("opened_date", "opening"),
        Column("first_response_minutes", COUNT, "Wait for the first answer, whole minutes."),
        Column("resolution_minutes", COUNT, "Time to the solution, whole minutes."),
    ),
    _silver(bronze.EXPERIMENT_ASSIGNMENTS, ()),
    _silver(bronze.EXPERIMENT_EXPOSURES, ()),
    _silver(bronze.EXPERIMENT_CONVERSIONS, ()),
)

TRANSACTIONS = _silver(bronze.TRANSACTIONS, (), _day("transaction_date", "the payment"))

SILVER = (*COMPANY, TRANSACTIONS)
