"""A round of upkeep does what is due, says so in one line, and may be killed anywhere."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from api.keeper import TABLES, keep
from lake.gated import last_gated
from lake.lake import Lake
from lake.log_listing import list_log
from lake.repair import repair
from lake.settings import IngestSettings
from lake.tables import BRONZE_TRANSACTIONS
from tests.lake.conftest import append_pending, rows_at

PROJECT = Path(__file__).resolve().parents[2]
SMALL = IngestSettings(compact_files=4, checkpoint_commits=6, log_commits_kept=100)
DONE_IN_S = 30


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.prepare()
    return lake


def pending_rows(lake: Lake, first: int, last: int) -> list[str]:
    for number in range(first, last + 1):
        append_pending(lake, BRONZE_TRANSACTIONS, [f"t{number:03d}"])
    return [f"t{n:03d}" for n in range(last + 1)]


def start(root: Path, **ingest: int) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LAKEHOUSE_")}
    settings = {f"LAKEHOUSE_INGEST__{name.upper()}": str(value) for name, value in ingest.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "api.keeper"], cwd=PROJECT, env={**kept, **settings, "LAKEHOUSE_LAKE__ROOT": str(root)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finished(process: subprocess.Popen[str], code: int = 0) -> str:
    said, complained = process.communicate(timeout=DONE_IN_S)
    assert process.returncode == code, complained
    return said if code == 0 else complained


def test_nothing_is_done_before_it_is_due(lake: Lake) -> None:
    for table in TABLES:
        done = keep(lake, table, SMALL)
        assert (done.version, done.checkpoint, done.compacted) == (-1, False, None)
    pending_rows(lake, 0, 2)
    done = keep(lake, BRONZE_TRANSACTIONS, SMALL)
    assert (done.version, done.checkpoint, done.compacted, done.cleaned.entries) == (2, False, None, 0)


def test_each_thing_is_done_when_it_is_due_and_not_again(lake: Lake) -> None:
    rows = pending_rows(lake, 0, 5)
    done = keep(lake, BRONZE_TRANSACTIONS, SMALL)
    assert done.checkpoint
    assert done.compacted is not None
    assert (done.compacted.removed, done.compacted.version) == (6, 6)
    assert rows_at(lake, BRONZE_TRANSACTIONS) == rows
    assert last_gated(lake, BRONZE_TRANSACTIONS) is None
    again = keep(lake, BRONZE_TRANSACTIONS, SMALL)
    assert (again.version, again.checkpoint, again.compacted) == (6, False, None)


def test_the_log_stays_short_however_many_commits_come(lake: Lake) -> None:
    first = 0
    for last in range(30, 301, 30):
        rows = pending_rows(lake, first, last)
        first = last + 1
        keep(lake, BRONZE_TRANSACTIONS, SMALL)
        assert rows_at(lake, BRONZE_TRANSACTIONS) == rows
    listing = list_log(lake.path(BRONZE_TRANSACTIONS))
    assert 100 <= len(listing.entries) <= 100 + 25 + 2 * 31
    assert len(listing.checkpoints) <= 2 + 1 + 4
    assert len(list(lake.path(BRONZE_TRANSACTIONS).glob("*.parquet"))) >= 301, "vacuum is not its business"


def test_as_a_process_it_prints_one_line_of_json(lake: Lake) -> None:
    rows = pending_rows(lake, 0, 3)
    said = finished(start(lake.root, compact_files=4, checkpoint_commits=4))
    (line,) = said.splitlines()
    transactions, quarantine = json.loads(line)["tables"]
    assert transactions == {
        "table": "bronze.transactions",
        "version": 3,
        "checkpoint": True,
        "compacted": {"removed": 4, "added": 1, "version": 4},
        "cleaned": {"entries": 0, "checkpoints": 0},
    }
    assert (quarantine["table"], quarantine["version"]) == ("quarantine.bronze_transactions", -1)
    assert rows_at(lake, BRONZE_TRANSACTIONS) == rows


def test_an_error_is_one_line_and_an_exit_code(lake: Lake) -> None:
    pending_rows(lake, 0, 1)
    newest = lake.path(BRONZE_TRANSACTIONS) / "_delta_log" / f"{1:020d}.json"
    newest.write_bytes(b"")
    complained = finished(start(lake.root), code=6)
    assert str(newest) in complained
    assert len(complained.splitlines()) == 1


def test_it_yields_to_ingest(lake: Lake) -> None:
    script = "import os, api.keeper; api.keeper.main(); print(os.nice(0))"
    settings: dict[str, Any] = {**os.environ, "LAKEHOUSE_LAKE__ROOT": str(lake.root)}
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, cwd=PROJECT, env=settings, capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) == min(19, os.nice(0) + 10)


def test_killed_at_any_moment_it_leaves_the_table_whole(lake: Lake) -> None:
    moments = random.Random(6)
    began = time.monotonic()
    finished(start(lake.root))
    round_s = time.monotonic() - began
    first, killed = 0, 0
    for last in range(7, 8 * 12, 8):
        rows = pending_rows(lake, first, last)
        first = last + 1
        process = start(lake.root, compact_files=4, checkpoint_commits=4, log_commits_kept=100)
        time.sleep(moments.uniform(0.5, 1.5) * round_s)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=DONE_IN_S)
        killed += process.returncode == -signal.SIGKILL
        repair(lake, BRONZE_TRANSACTIONS)
        assert rows_at(lake, BRONZE_TRANSACTIONS) == rows
    assert killed >= 3, "it was done before the kill"
    finished(start(lake.root, compact_files=4, checkpoint_commits=4))
    assert rows_at(lake, BRONZE_TRANSACTIONS) == rows
    assert not [f.name for f in lake.path(BRONZE_TRANSACTIONS).rglob("*") if f.name.startswith(".")]
    assert list_log(lake.path(BRONZE_TRANSACTIONS)).others == {"_last_checkpoint"}
