"""Killed, doubled, starved or fed nonsense: a clear message, nothing half-published, and the next run ends right."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest

from lake.gated import last_gated
from lake.lake import Lake
from lake.tables import COMPANY
from tests.e2e.conftest import SMALL, Cli

pytestmark = pytest.mark.e2e
SPEND_HEADER = "spend_id,channel_id,spend_date,amount,impressions,clicks\n"


def contents(cli: Cli) -> dict[str, list[tuple[object, ...]]]:
    """Rows readers see, in no order, without the columns that name time and place."""
    lake = Lake(cli.folder / "data/lake")
    found = {}
    for table in COMPANY:
        gated = last_gated(lake, table)
        if gated is not None and gated.files:
            rows = pl.concat([pl.read_parquet(f) for f in gated.files]).drop("_ingested_at", strict=False)
            found[table.full_name] = sorted(rows.rows(), key=repr)
    return found


def kill_after(cli: Cli, command: list[str], seconds: float) -> bool:
    """Start a command in a process group and kill -9 the group; whether it was still running."""
    process = subprocess.Popen(
        cli.command(*command), cwd=cli.folder, env=cli.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


@pytest.mark.timeout(600)
def test_killed_at_any_moment_the_next_run_ends_in_the_same_lake(small: Cli, tmp_path: Path) -> None:
    small("generate")
    reference = Cli(tmp_path / "reference", SMALL)
    shutil.copytree(small.folder / "data/inbox", reference.folder / "data/inbox")
    began = time.monotonic()
    reference("land")
    reference("build")
    took = time.monotonic() - began
    moments = random.Random(7)
    killed = 0
    for _ in range(6):
        killed += kill_after(small, ["land"], moments.uniform(0.3, 1.0) * took / 2)
        killed += kill_after(small, ["build"], moments.uniform(0.3, 1.0) * took / 2)
    assert killed >= 4, "the kills came too late to mean anything"
    small("land")
    small("build")
    assert contents(small) == contents(reference)
    staging = small.folder / "data/lake/_staging"
    assert not staging.exists() or not list(staging.iterdir())


def test_two_runs_at_once_one_waits_or_says_so(small: Cli) -> None:
    small("generate")
    first = subprocess.Popen(
        small.command("land"), cwd=small.folder, env=small.environment(), stderr=subprocess.DEVNULL
    )
    lock = small.folder / "data/lake/.writer.holder"
    while first.poll() is None and not lock.exists():
        time.sleep(0.01)
    second = small("land", code=5, LAKEHOUSE_LAKE__LOCK_WAIT_S="0")
    assert "is writing this lake" in second.stderr
    waiting = small("land", LAKEHOUSE_LAKE__LOCK_WAIT_S="120")
    assert "up to date" in waiting.stdout
    assert first.wait() == 0


def test_a_failing_gate_keeps_the_last_good_version_and_names_table_value_and_threshold(small: Cli) -> None:
    small("generate")
    small("land")
    small("build")
    before = contents(small)
    small.drop("marketing_spend", "bad.csv", SPEND_HEADER + "".join(f"s{i},nobody,,-5,1,2\n" for i in range(3000)))
    small("land")
    failed = small("build", code=3)
    assert "silver.marketing_spend" in failed.stderr
    assert "allowed at most 10.00%" in failed.stderr
    after = contents(small)
    assert {k: v for k, v in after.items() if not k.startswith("bronze")} == {
        k: v for k, v in before.items() if not k.startswith("bronze")
    }


def test_a_run_whose_gate_is_shut_says_why_and_shows_no_trace(empty: Cli) -> None:
    failed = empty("run", code=3)
    assert "the silver gate is shut" in failed.stderr
    assert "silver.users: row_count measured 0" in failed.stderr
    assert "Error logging to API" not in failed.stderr


def test_an_empty_dimension_shuts_the_gate_and_names_check_value_and_threshold(empty: Cli) -> None:
    empty.drop("marketing_channels", "header.csv", "channel_id,name,kind\n")
    empty("land")
    failed = empty("build", code=3)
    assert "silver.marketing_channels: row_count measured 0, allowed more than 0" in failed.stderr
    assert not (empty.folder / "data/lake/silver").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.csv", "", "empty_file"),
        ("semicolon.csv", SPEND_HEADER.replace(",", ";") + "s1;c1;2026-01-01;1.00;1;1\n", "column"),
        ("latin1.csv", SPEND_HEADER.encode() + "s1,caf\xe9,2026-01-01,1.00,1,1\n".encode("latin-1"), "not_utf8"),
        ("unknown.csv", SPEND_HEADER.replace("clicks", "klicks") + "s1,c1,2026-01-01,1.00,1,1\n", "klicks"),
        ("torn.parquet", b"PAR1 not really", "not_parquet"),
        ("sheet.xlsx", b"PK\x03\x04", "file_format_unknown"),
    ],
)
def test_a_malformed_file_goes_to_quarantine_whole(empty: Cli, name: str, content: str | bytes, reason: str) -> None:
    path = empty.drop("marketing_spend", name, content)
    original = path.read_bytes()
    empty.drop("marketing_spend", "good.csv", SPEND_HEADER + "s1,c1,2026-01-01,1.00,1,1\n")
    empty("land")
    assert path.read_bytes() == original
    (row,) = empty.json("quarantine", "list", "bronze.marketing_spend")
    assert reason in " ".join(row["rules"])
    assert row["_source"] == f"marketing_spend/{name}"
    assert len(empty.json("show", "bronze.marketing_spend")) == 1


def test_malformed_rows_go_to_quarantine_with_line_and_reason_and_the_rest_lands(empty: Cli) -> None:
    rows = [
        "s1,c1,2026-01-01,1.00,1,1",
        "s2,c1,2026-01-01,NaN,1,1",
        "s3,c1,2026-01-01,Infinity,1,1",
        "s4,c1,2026-02-30,1.00,1,1",
        "s5,c1,2026-01-01,1.005,1,1",
        "s6,c1,2026-01-01,1.00,1",
        f"s7,{'x' * 1_000_000},2026-01-01,1.00,1,1",
        "s8,c1,0001-01-01,1.00,1,1",
        "s9,c1,9999-12-31,1.00,1,1",
    ]
    empty.drop("marketing_spend", "mixed.csv", SPEND_HEADER + "\n".join(rows) + "\n")
    balance = empty.json("land")
    assert balance[0] | {"gate": ""} == {
        "table": "bronze.marketing_spend", "received": 9, "published": 4, "duplicates": 0, "quarantined": 5, "gate": "",
    }  # fmt: skip
    found = {r["_line"]: " ".join(r["rules"]) for r in empty.json("quarantine", "list", "bronze.marketing_spend")}
    assert set(found) == {3, 4, 5, 6, 7}
    assert "amount" in found[3]
    assert "spend_date" in found[5]
    assert "precise" in found[6]
    assert "fields" in found[7]


def test_the_same_content_never_lands_twice_whatever_its_name(empty: Cli) -> None:
    content = SPEND_HEADER + "s1,c1,2026-01-01,1.00,1,1\n"
    empty.drop("marketing_spend", "a.csv", content)
    empty("land")
    empty.drop("marketing_spend", "b.csv", content)
    assert "up to date" in empty("land").stdout
    assert len(empty.json("show", "bronze.marketing_spend")) == 1


def test_replay_after_a_fix_is_idempotent_and_the_balance_holds(empty: Cli) -> None:
    empty.drop("marketing_spend", "a.csv", SPEND_HEADER + 's1,c1,2026-01-01,"1,50",1,1\ns2,c1,2026-01-01,2.00,1,1\n')
    empty("land")
    (row,) = empty.json("quarantine", "list")
    for _ in range(2):
        done = empty("quarantine", "replay", "bronze.marketing_spend", "--set", "amount=1.50")
    assert "0 tried" in done.stdout
    assert empty.json("quarantine", "list") == []
    amounts = {r["spend_id"]: r["amount"] for r in empty.json("show", "bronze.marketing_spend")}
    assert amounts == {"s1": "1.50", "s2": "2.00"}
    (again,) = empty.json("quarantine", "list", "--all")
    assert (again["quarantine_id"], again["status"]) == (row["quarantine_id"], "replayed")


def test_discarded_rows_are_closed_but_kept(empty: Cli) -> None:
    empty.drop("marketing_spend", "a.csv", SPEND_HEADER + "s1,c1,2026-01-01,x,1,1\n")
    empty("land")
    (row,) = empty.json("quarantine", "list")
    empty("quarantine", "discard", "bronze.marketing_spend", row["quarantine_id"][:10])
    assert empty.json("quarantine", "list") == []
    assert empty.json("quarantine", "list", "--all")[0]["status"] == "discarded"
    empty("quarantine", "discard", "bronze.marketing_spend", row["quarantine_id"], code=4)


def test_an_empty_inbox_is_no_error_for_landing(empty: Cli) -> None:
    assert "up to date" in empty("land").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "silver.user"], 4, "silver.users"),
        (["show", "gold.revenue"], 4, "./lakehouse run"),
        (["run", "--config", "none.yaml"], 2, "none.yaml"),
        (["quarantine", "show", "abc"], 4, "quarantine list"),
        (["bench", "nothing"], 4, "medallion"),
        (["check", "--last"], 4, "./lakehouse run"),
        (["generate", "--file-format", "xls"], 4, "parquet"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one(empty: Cli, arguments: list[str], code: int, words: str) -> None:
    assert words in empty(*arguments, code=code).stderr


def test_a_torn_log_is_named_and_nothing_is_changed(small: Cli) -> None:
    small("generate")
    small("land")
    log = small.folder / "data/lake/bronze/users/_delta_log/00000000000000000000.json"
    log.write_bytes(log.read_bytes()[:200])
    failed = small("build", code=6)
    assert "bronze/users" in failed.stderr
    assert not (small.folder / "data/lake/silver").exists()


def test_a_lake_of_a_later_version_is_left_alone(empty: Cli) -> None:
    root = empty.folder / "data/lake"
    root.mkdir(parents=True)
    (root / "lake.json").write_text(json.dumps({"format_version": 99}))
    assert "format 99" in empty("land", code=7).stderr
    assert "format 99" in empty("tables", code=7).stderr


def test_a_place_that_cannot_be_written_is_named(empty: Cli) -> None:
    (empty.folder / "file").write_text("")
    assert "lake.root" in empty("land", code=6, LAKEHOUSE_LAKE__ROOT="file/lake").stderr


def kib_on_disk(folder: Path) -> int:
    """Of files alone, as tmpfs counts: its directories take no room."""
    return sum(path.stat().st_blocks for path in folder.rglob("*") if path.is_file()) // 2  # st_blocks counts 512 bytes


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="a full disk needs a mount of its own")
@pytest.mark.parametrize("share_of_the_lake", [0.15, 0.4, 0.65, 0.85])
def test_a_full_disk_is_said_and_with_more_room_the_next_landing_ends_right(
    small: Cli, tmp_path_factory: pytest.TempPathFactory, share_of_the_lake: float
) -> None:
    small("generate")
    reference = Cli(tmp_path_factory.mktemp("reference"), SMALL)
    shutil.copytree(small.folder / "data/inbox", reference.folder / "data/inbox")
    reference("land")
    size_kib = int(kib_on_disk(reference.folder / "data/lake") * share_of_the_lake)
    (small.folder / "data/lake").mkdir()
    land = " ".join(small.command("land"))
    script = (
        f"mount -t tmpfs -o size={size_kib}k none data/lake || exit 99; {land}; code=$?; "
        f"mount -o remount,size=64m data/lake; {land} >&2 && cp -r data/lake data/kept; exit $code"
    )
    unshared = ["unshare", "-m", "sh", "-c", script]
    done = subprocess.run(
        unshared, cwd=small.folder, env=small.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 6, done.stdout + done.stderr
    assert "disk is full" in done.stderr or "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    (small.folder / "data/lake").rmdir()
    (small.folder / "data/kept").rename(small.folder / "data/lake")
    assert contents(small) == contents(reference)
