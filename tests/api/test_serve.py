"""`lakehouse keys` and `lakehouse serve`, from outside, with real processes."""

from __future__ import annotations

import json
import re
import socket
import stat
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Cli


def cli(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return Cli(folder)(*arguments, code=code)


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    made = cli(tmp_path, "keys", "create", "till-7", "--scope", "ingest", "--scope", "read", "--expires-days", "30")
    key = made.stdout.strip()
    assert re.fullmatch(r"lhk_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", key)
    file = tmp_path / "data" / "api" / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    listed = json.loads(cli(tmp_path, "keys", "list", "--json").stdout)
    assert [(k["name"], k["state"], k["scopes"]) for k in listed] == [("till-7", "active", ["ingest", "read"])]
    assert key.split("_", 2)[2] not in json.dumps(listed)
    cli(tmp_path, "keys", "revoke", key.split("_")[1])
    assert json.loads(cli(tmp_path, "keys", "list", "--json").stdout)[0]["state"] == "revoked"
    assert "revoked" in cli(tmp_path, "keys", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("keys", "create", "a"), 4, "--scope ingest"),
        (("keys", "create", "a/b", "--scope", "read"), 4, "no name for a key"),
        (("keys", "create", "a", "--scope", "read", "--expires-days", "0"), 4, "--expires-days"),
        (("keys", "create", "a", "--scope", "read", "--expires-days", "99999999"), 4, "too many"),
        (("keys", "revoke", "nobody"), 4, "keys list"),
        (("serve",), 2, "lakehouse keys create NAME --scope ingest --scope read"),
        (("serve", "--development", "--host", "0.0.0.0"), 2, "must not be reachable"),
        (("serve", "--port", "99999"), 2, "65535"),
        (("serve", "--config", "nowhere.yaml"), 2, "cannot read the configuration"),
    ],
)
def test_what_cannot_be_is_said_in_a_line_with_what_to_type(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    assert says in cli(tmp_path, *arguments, code=code).stderr


def test_a_port_in_use_and_a_corrupt_key_file_are_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert (
            f"cannot listen at 127.0.0.1:{port}"
            in cli(tmp_path, "serve", "--development", "--port", port, code=2).stderr
        )
    (tmp_path / "data" / "api").mkdir(parents=True, exist_ok=True)
    (tmp_path / "data" / "api" / "keys.json").write_text("{", encoding="utf-8")
    assert "the key file cannot be used" in cli(tmp_path, "serve", code=6).stderr


def test_a_row_sent_to_a_service_without_keys_is_proven_by_it_and_sigterm_is_an_orderly_end(tmp_path: Path) -> None:
    row = {
        "transaction_id": "t-1", "account_id": "a-42", "merchant_id": "m-7", "category": "grocery",
        "occurred_at": "2026-03-31T09:30:00Z", "amount": "12.50", "currency": "EUR", "channel": "online",
    }  # fmt: skip
    with Cli(tmp_path).serving("--development") as (base, process):
        sent = httpx.post(f"{base}/api/v1/ingest", json=row)
        assert sent.status_code == 201, sent.text
        found = httpx.get(f"{base}/api/v1/transactions/t-1").json()
        assert found["state"] == "pending"
        assert found["bronze"]["rows"][0]["values"] == row
        assert found["bronze"]["rows"][0]["origin"]["version"] == sent.json()["version"]
        refused = httpx.post(f"{base}/api/v1/ingest", json=row | {"transaction_id": "t-2", "amount": "1.234"})
        assert refused.status_code == 422
        figures = httpx.get(f"{base}/metrics").text
        assert "lakehouse_rows_committed_total 1.0" in figures
        assert 'lakehouse_refused_requests_total{problem="unprocessable"} 1.0' in figures
        assert 'lakehouse_requests_total{route="/api/v1/ingest",status="201"} 1.0' in figures
    assert process.returncode == 0


def test_two_workers_serve_count_and_drain_as_one(tmp_path: Path) -> None:
    key = cli(tmp_path, "keys", "create", "all", "--scope", "read").stdout.strip()
    slow = cli(tmp_path, "keys", "create", "slow", "--scope", "read", "--requests-per-second", "5").stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    with Cli(tmp_path).serving("--workers", "2") as (base, process):
        # Connections are spread over the workers; a client that keeps none reaches both.
        prefixes = set()
        for _ in range(40):
            answer = httpx.get(f"{base}/api/v1/kpis/nope", headers=headers)
            assert answer.status_code == 404
            prefixes.add(answer.headers["x-request-id"].split("-")[0])
        assert len(prefixes) == 2
        counts = {httpx.get(f"{base}/metrics", headers=headers).text for _ in range(4)}
        assert all('lakehouse_requests_total{route="/api/v1/kpis/{mart}",status="404"} 40.0' in text for text in counts)
        began = time.monotonic()
        statuses = [httpx.get(f"{base}/api/v1/kpis/nope", headers={"X-API-Key": slow}).status_code for _ in range(40)]
        assert 429 in statuses
        assert 5 <= statuses.count(404) <= 5 + 5 * (time.monotonic() - began) + 1
        cli(tmp_path, "keys", "revoke", key.split("_")[1])
        time.sleep(1.2)
        assert {httpx.get(f"{base}/metrics", headers=headers).status_code for _ in range(6)} == {401}
    assert process.returncode == 0
    log = (tmp_path / "serve.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["event"] for line in lines].count("stopped") == 2
    assert key.split("_", 2)[2] not in log
    assert slow.split("_", 2)[2] not in log
