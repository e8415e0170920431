"""Anomalies and marts over HTTP: filters, order, pages of one version, versions."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from api.problems import Problem
from api.reading.cursor import read_cursor, write_cursor
from lake.lake import Lake
from lake.log import entry_path
from lake.tables.anomalies import DAILY_TRANSACTION_SUMMARY, MERCHANT_SUMMARY, TRANSACTION_ANOMALIES
from tests.api.front import Caller, lake_in, publish_rows, reader

START = datetime(2026, 1, 1, tzinfo=UTC)
RULES: tuple[list[str], ...] = (["velocity"], ["high_amount", "very_high_amount"], ["frequency"], [])


def anomaly(number: int) -> dict[str, Any]:
    """Two anomalies share every moment, so that order needs the id too."""
    return {
        "transaction_id": f"t-{number:04d}",
        "account_id": f"a-{number % 3}",
        "merchant_id": f"m-{number % 5}",
        "occurred_at": START + timedelta(hours=number // 2),
        "amount": Decimal(number) + Decimal("0.50"),
        "currency": "EUR",
        "rules": RULES[number % 4],
        "score": 0.0 if number % 4 == 3 else 0.5 + number / 200,
    }


ROWS = [anomaly(number) for number in range(57)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reading")
    lake = lake_in(folder)
    publish_rows(lake, TRANSACTION_ANOMALIES, ROWS[:30], run="run-0")
    publish_rows(lake, TRANSACTION_ANOMALIES, ROWS[30:], run="run-1")
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(40)]
    publish_rows(
        lake,
        DAILY_TRANSACTION_SUMMARY,
        [{"transaction_date": day, "transactions": n, "amount": Decimal(n) / 10} for n, day in enumerate(days)],
    )
    publish_rows(lake, MERCHANT_SUMMARY, [{"merchant_id": "m-1", "anomaly_rate": float("nan")}])
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Caller:
    return reader(folder)


def walk(client: Caller, path: str, **query: Any) -> Iterator[dict[str, Any]]:
    """Every page of a walk."""
    cursor: dict[str, str] = {}
    while True:
        answer = client.get(path, params={**query, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield page
        if page["next"] is None:
            return
        cursor = {"cursor": page["next"]}


def ids(pages: Iterator[dict[str, Any]]) -> list[str]:
    return [row["transaction_id"] for page in pages for row in page["rows"]]


def expected(**wanted: Any) -> list[str]:
    """The ids in order, filtered and sorted in plain Python."""
    rule = wanted.get("rule")
    rows = [
        row
        for row in ROWS
        if (rule is None or rule in row["rules"])
        and wanted.get("account_id") in (None, row["account_id"])
        and wanted.get("merchant_id") in (None, row["merchant_id"])
        and row["score"] >= wanted.get("min_score", 0)
        and ("from" not in wanted or row["occurred_at"] >= datetime.fromisoformat(wanted["from"]))
        and ("to" not in wanted or row["occurred_at"] < datetime.fromisoformat(wanted["to"]))
    ]
    return [
        r["transaction_id"] for r in sorted(rows, key=lambda r: (-r["occurred_at"].timestamp(), r["transaction_id"]))
    ]


@pytest.mark.parametrize("limit", [1, 2, 7, 56, 57, 58, 1000])
def test_a_walk_yields_every_row_once_in_order_whatever_the_page(client: Caller, limit: int) -> None:
    assert ids(walk(client, "/api/v1/anomalies", limit=limit)) == expected()


ASKED = st.fixed_dictionaries(
    {},
    optional={
        "rule": st.sampled_from(["velocity", "high_amount", "very_high_amount", "frequency"]),
        "account_id": st.sampled_from(["a-0", "a-1", "' OR 1=1 --", "../../etc/passwd"]),
        "merchant_id": st.sampled_from(["m-4", "m-\u2028"]),
        "min_score": st.sampled_from([0, 0.5, 0.61, 1]),
        "from": st.integers(0, 30).map(lambda h: (START + timedelta(hours=h)).isoformat()),
        "to": st.integers(0, 30).map(lambda h: (START + timedelta(hours=h)).isoformat()),
    },
)


@given(asked=ASKED, limit=st.integers(1, 60))
@settings(max_examples=60)
def test_filters_agree_with_plain_python(client: Caller, asked: dict[str, Any], limit: int) -> None:
    assert ids(walk(client, "/api/v1/anomalies", limit=limit, **asked)) == expected(**asked)


def test_money_is_text_with_its_scale_and_moments_are_rfc_3339(client: Caller) -> None:
    row = client.get("/api/v1/anomalies", params={"limit": 1}).json()["rows"][0]
    assert (row["amount"], row["occurred_at"]) == ("56.50", "2026-01-02T04:00:00Z")
    assert row["rules"] == ["velocity"]
    assert row["burst_id"] is None


def test_pages_of_a_walk_are_of_one_version_although_another_is_published_meanwhile(tmp_path: Path) -> None:
    lake = lake_in(tmp_path)
    publish_rows(lake, TRANSACTION_ANOMALIES, ROWS[:10], run="run-0")
    client = reader(tmp_path)
    pages = walk(client, "/api/v1/anomalies", limit=4)
    seen = [next(pages)]
    publish_rows(lake, TRANSACTION_ANOMALIES, ROWS[10:], mode="overwrite", run="run-1")
    seen += list(pages)
    assert {page["version"] for page in seen} == {0}
    assert sorted(ids(iter(seen))) == [row["transaction_id"] for row in ROWS[:10]]
    assert client.get("/api/v1/anomalies").json()["version"] == 1


def test_an_earlier_version_is_read_on_request_and_an_unknown_one_names_its_neighbours(client: Caller) -> None:
    page = client.get("/api/v1/anomalies", params={"version": 0, "limit": 1000}).json()
    assert (page["version"], len(page["rows"])) == (0, 30)
    unknown = client.get("/api/v1/anomalies", params={"version": 77})
    assert (unknown.status_code, unknown.json()["near_versions"]) == (404, [0, 1])


def test_a_version_whose_log_is_just_being_cleaned_is_not_found(tmp_path: Path) -> None:
    lake = lake_in(tmp_path)
    for number in range(4):
        publish_rows(lake, TRANSACTION_ANOMALIES, ROWS[number : number + 1], run=f"run-{number}")
    DeltaTable(str(lake.path(TRANSACTION_ANOMALIES)), version=2).create_checkpoint()
    entry_path(lake.path(TRANSACTION_ANOMALIES), 0).unlink()
    client = reader(tmp_path)
    gone = client.get("/api/v1/anomalies", params={"version": 1})
    assert (gone.status_code, "past its retention" in gone.json()["detail"]) == (404, True)
    assert len(client.get("/api/v1/anomalies", params={"version": 2}).json()["rows"]) == 3


def test_a_version_written_past_the_gate_is_never_read(tmp_path: Path) -> None:
    lake = lake_in(tmp_path)
    publish_rows(lake, TRANSACTION_ANOMALIES, ROWS[:3])
    table = DeltaTable(str(lake.path(TRANSACTION_ANOMALIES)))
    table.delete("transaction_id = 't-0001'")
    client = reader(tmp_path)
    assert client.get("/api/v1/anomalies").json()["version"] == 0
    assert client.get("/api/v1/anomalies", params={"version": 1}).status_code == 404


def test_a_compacted_version_stays_readable_for_the_walk_that_began_on_it(tmp_path: Path) -> None:
    lake = lake_in(tmp_path)
    publish_rows(lake, TRANSACTION_ANOMALIES, ROWS[:5], run="run-0")
    publish_rows(lake, TRANSACTION_ANOMALIES, ROWS[5:9], run="run-1")
    DeltaTable(str(lake.path(TRANSACTION_ANOMALIES))).optimize.compact()
    client = reader(tmp_path)
    pages = walk(client, "/api/v1/anomalies", limit=4)
    first = next(pages)
    publish_rows(lake, TRANSACTION_ANOMALIES, ROWS[9:], run="run-2")
    assert first["version"] == 2
    assert [page["version"] for page in pages] == [2, 2]


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ({"limit": 0}, 422, "?limit"),
        ({"limit": 1001}, 422, "?limit"),
        ({"min_score": "nan"}, 422, "?min_score"),
        ({"min_score": 1.1}, 422, "?min_score"),
        ({"rule": "rm -rf"}, 422, "?rule"),
        ({"from": "2026-01-01"}, 422, "?from"),
        ({"from": "1767225600"}, 422, "?from"),
        ({"to": "2026-01-01T00:00:00"}, 422, "?to"),
        ({"version": -1}, 422, "?version"),
        ({"version": 2**63}, 422, "?version"),
        ({"acount_id": "a"}, 422, "?acount_id"),
        ({"account_id": ""}, 422, "?account_id"),
        ({"account_id": "a" * 257}, 422, "?account_id"),
        ({"cursor": "!"}, 400, None),
        ({"cursor": "é"}, 400, None),
        ({"cursor": "AAAA"}, 400, None),
        ({"cursor": "a" * 2049}, 422, "?cursor"),
    ],
)
def test_wrong_parameters_are_refused_by_name(
    client: Caller, query: dict[str, Any], status: int, pointer: str | None
) -> None:
    answer = client.get("/api/v1/anomalies", params=query)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [e["pointer"] for e in answer.json().get("errors", [])] == ([pointer] if pointer else [])


def test_a_cursor_is_refused_with_other_filters_and_by_other_lists(client: Caller) -> None:
    cursor = client.get("/api/v1/anomalies", params={"limit": 5}).json()["next"]
    for path, query in (
        ("/api/v1/anomalies", {"rule": "velocity"}),
        ("/api/v1/anomalies", {"version": 0}),
        ("/api/v1/kpis/daily_transaction_summary", {}),
    ):
        assert client.get(path, params={**query, "cursor": cursor}).status_code == 400
    assert client.get("/api/v1/anomalies", params={"limit": 9, "cursor": cursor}).status_code == 200


def forged(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@given(content=JSON, filters=st.booleans())
@settings(max_examples=150)
def test_a_forged_cursor_is_refused_or_reads_what_anybody_may_read(client: Caller, content: Any, filters: bool) -> None:
    real = base64.urlsafe_b64decode(write_cursor(0, (0, "t"), {"version": None}) + "==")
    if filters and isinstance(content, list):
        content = [content[0] if content else 0, json.loads(real)[1], content[1:]]
    assert client.get("/api/v1/anomalies", params={"cursor": forged(content)}).status_code in (200, 400, 404)


@given(micros=st.integers(-(2**62), 2**62), key=st.text(max_size=20))
def test_a_cursor_says_what_was_written_into_it(micros: int, key: str) -> None:
    text = write_cursor(7, (micros, key), {"a": 1})
    read = read_cursor(text, TRANSACTION_ANOMALIES, ("occurred_at", "transaction_id"), {"a": 1})
    assert (read.version, read.key) == (7, (micros, key))
    with pytest.raises(Problem):
        read_cursor(text, TRANSACTION_ANOMALIES, ("transaction_id", "occurred_at"), {"a": 1})


def test_a_mart_is_walked_in_key_order_and_by_its_day(client: Caller) -> None:
    path = "/api/v1/kpis/daily_transaction_summary"
    rows = [row for page in walk(client, path, limit=7) for row in page["rows"]]
    assert [row["transactions"] for row in rows] == list(range(40))
    assert rows[3]["amount"] == "0.30"
    between = client.get(path, params={"from": "2026-01-30", "to": "2026-02-02"}).json()["rows"]
    assert [row["transaction_date"] for row in between] == ["2026-01-30", "2026-01-31", "2026-02-01"]
    assert len(client.get(path, params={"on": "2026-01-05"}).json()["rows"]) == 1


def test_a_mart_without_a_day_refuses_one_and_no_number_is_null(client: Caller) -> None:
    path = "/api/v1/kpis/merchant_summary"
    assert client.get(path).json()["rows"][0]["anomaly_rate"] is None
    refused = client.get(path, params={"from": "2026-01-01"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "?from")


@pytest.mark.parametrize("name", ["nope", "..%2Fgold", "revenue'--", "%00", "gold.revenue"])
def test_names_that_are_no_mart_are_not_found(client: Caller, name: str) -> None:
    answer = client.get(f"/api/v1/kpis/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_mart_never_published_is_not_found(client: Caller) -> None:
    assert "never published" in client.get("/api/v1/kpis/revenue").json()["detail"]


def test_tables_lists_every_declared_table_with_its_versions(client: Caller, folder: Path) -> None:
    found = {row["table"]: row for row in client.get("/api/v1/tables").json()["tables"]}
    anomalies = found["gold.transaction_anomalies"]
    assert (anomalies["rows"], anomalies["gated_version"], anomalies["newest_version"]) == (57, 1, 1)
    assert anomalies["size_bytes"] == sum(
        f.stat().st_size for f in Lake(folder / "lake").path(TRANSACTION_ANOMALIES).glob("*.parquet")
    )
    assert found["bronze.transactions"]["rows"] is None


def test_a_torn_table_is_a_problem_without_a_path_and_not_a_failure(tmp_path: Path) -> None:
    lake = lake_in(tmp_path)
    publish_rows(lake, TRANSACTION_ANOMALIES, ROWS[:3])
    next((lake.path(TRANSACTION_ANOMALIES) / "_delta_log").glob("*.json")).write_text("{", encoding="utf-8")
    answer = reader(tmp_path).get("/api/v1/anomalies")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert str(tmp_path) not in answer.text
