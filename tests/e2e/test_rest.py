"""What the README says of the HTTP service: a key, curl, the flow, the anomaly; and a retry over a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Cli

pytestmark = pytest.mark.e2e

# Rows come over HTTP alone.
REST_ONLY = {"LAKEHOUSE_TRANSACTIONS__ENABLED": "false"}


@contextmanager
def serving(cli: Cli, key: str) -> Iterator[httpx.Client]:
    """The service on two workers, and a caller with a key."""
    bearer = {"Authorization": f"Bearer {key}"}
    with (
        cli.serving("--workers", "2") as (base, process),
        httpx.Client(base_url=base, headers=bearer, timeout=30) as caller,
    ):
        yield caller
    assert process.returncode == 0


def payment(number: int, second: int, amount: str = "12.50") -> dict[str, str]:
    return {
        "transaction_id": f"t-{number}",
        "account_id": "a-42",
        "merchant_id": "m-7",
        "category": "grocery",
        "occurred_at": f"2026-03-31T09:30:{second:02d}Z",
        "amount": amount,
        "currency": "EUR",
        "channel": "online",
    }


def test_rows_over_http_become_anomalies_and_a_retry_over_a_restart_adds_none(empty: Cli) -> None:
    empty.settings.update(REST_ONLY)
    key = empty("keys", "create", "till-7", "--scope", "ingest", "--scope", "read").stdout.strip()
    burst = [payment(number, second=number) for number in range(15)]
    with serving(empty, key) as caller:
        first = caller.post("/api/v1/ingest", json=burst[0], headers={"Idempotency-Key": "till-7-1"})
        assert (first.status_code, first.json()["status"]) == (201, "committed")
        lines = "".join(json.dumps(row) + "\n" for row in [*burst[1:], payment(99, 59, amount="1.999")])
        batch = caller.post(
            "/api/v1/ingest/batch", content=lines, headers={"Content-Type": "application/x-ndjson"}
        ).json()
        assert (batch["committed"], batch["quarantined"], batch["refused"][0]["index"]) == (14, 1, 14)
        assert caller.get("/api/v1/transactions/t-3").json()["state"] == "pending"
        assert caller.get("/api/v1/transactions/t-99").json()["state"] == "quarantined"
        summary = empty.json("transactions", "run", "--engine", "sail")
        assert {t["table"] for t in summary["tables"]} >= {"gold.transaction_anomalies"}
        assert caller.get("/api/v1/transactions/t-3").json()["state"] == "in_silver"
        page = caller.get("/api/v1/anomalies", params={"rule": "velocity", "account_id": "a-42"}).json()
        assert {row["transaction_id"] for row in rows_of(page)} >= {"t-10", "t-14"}
    with serving(empty, key) as caller:
        again = caller.post("/api/v1/ingest", json=burst[0], headers={"Idempotency-Key": "till-7-1"})
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers["Idempotent-Replayed"] == "true"
        other = caller.post("/api/v1/ingest", json=burst[0] | {"amount": "13.00"})
        assert (other.status_code, other.headers["content-type"]) == (409, "application/problem+json")
    (refused,) = empty.json("quarantine", "list", "bronze.transactions")
    assert (refused["rules"], json.loads(refused["payload"])["transaction_id"]) == (["amount_too_precise"], "t-99")


def rows_of(page: dict[str, Any]) -> list[dict[str, Any]]:
    return next(value for value in page.values() if isinstance(value, list))
