"""Laws of landing: rows balance, and the format a row comes in does not change what lands."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.candidate import Candidate, Run
from lake.settings import PROJECT_ROOT, EngineSettings, LandSettings
from lake.tables import table
from sql.engines.duckdb import DuckDBEngine
from tasks.landing import land, pending_files
from tasks.landing.csv_rows import read_csv
from tasks.landing.text_lines import BLOCK_BYTES

RUN = Run("run-1", datetime(2026, 1, 2, tzinfo=UTC))
SPEND = table("bronze.marketing_spend")
NAMES = [c.name for c in SPEND.payload]
MAX_FIELD_BYTES = 1024

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(lambda t: t or "x")
_row = st.fixed_dictionaries(
    {
        "spend_id": st.none() | _text | st.just("y" * 2000),
        "channel_id": st.none() | _text,
        "spend_date": st.none() | st.dates().map(str) | st.sampled_from(["", "soon", "2026-02-30", "0000-01-01"]),
        "amount": st.none()
        | st.decimals(-(10**18), 10**18, places=2).map(str)
        | st.sampled_from(["NaN", "1.234", "x"]),
        "impressions": st.none() | st.integers(-(2**64), 2**64).map(str) | st.sampled_from(["3.0", "Infinity", "-"]),
        "clicks": st.none() | st.integers(0, 10).map(str),
    }
).map(lambda row: {name: value or None for name, value in row.items()})


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with tempfile.TemporaryDirectory() as scratch, DuckDBEngine(EngineSettings(), Path(scratch)) as engine:
        yield engine


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(NAMES)
    writer.writerows([row[name] for name in NAMES] for row in rows)
    return text.getvalue().encode()


def as_jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in NAMES])), sink)
    return bytes(sink.getvalue())


def land_one(engine: DuckDBEngine, root: Path, name: str, content: bytes) -> Candidate:
    folder = root / name / SPEND.name
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)
    files = pending_files(root / name, SPEND, lambda _: False, limit=1)
    limits = LandSettings(max_field_bytes=MAX_FIELD_BYTES)
    return land(engine, SPEND, files, root / "staging", RUN, limits)


def bronze(candidate: Candidate) -> list[dict[str, Any]]:
    """Landed rows in their order in the file, without what tells files apart."""
    rows = [row for file in candidate.files for row in pq.read_table(file).to_pylist()]
    ordered = sorted(rows, key=lambda row: int(row["_line"]))
    return [{name: row[name] for name in (*NAMES, "_ingested_at")} for row in ordered]


def refused(candidate: Candidate) -> list[list[str]]:
    rows = [row for file in candidate.quarantine_files for row in pq.read_table(file).to_pylist()]
    assert len({row["quarantine_id"] for row in rows}) == len(rows)
    return [row["rules"] for row in sorted(rows, key=lambda row: int(row["_line"]))]


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(_row, min_size=1, max_size=12))
def test_same_rows_land_alike_from_every_format_and_balance(engine: DuckDBEngine, rows: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as root:
        contents = {"a.csv": as_csv(rows), "a.jsonl": as_jsonl(rows), "a.parquet": as_parquet(rows)}
        found = {name: land_one(engine, Path(root), name, content) for name, content in contents.items()}
        for candidate in found.values():
            balance = candidate.balance
            assert balance.holds
            assert balance.received == len(rows)
            assert (balance.published, balance.quarantined) == (len(bronze(candidate)), len(refused(candidate)))
        assert bronze(found["a.csv"]) == bronze(found["a.jsonl"]) == bronze(found["a.parquet"])
        assert refused(found["a.csv"]) == refused(found["a.jsonl"]) == refused(found["a.parquet"])


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(st.sampled_from(["a,b,2026-01-01,1.00,1,1", 'a,"b\nb",,,,', "x", 'a,"b', '"', "", ',,,,,"', "\r"]))
)
def test_every_csv_line_is_accounted_for_whatever_the_blocks(lines: list[str]) -> None:
    content = ("\n".join([",".join(NAMES), *lines]) + "\n").encode()
    whole = csv_account(content, BLOCK_BYTES)
    assert whole == csv_account(content, 7)


def csv_account(content: bytes, block_bytes: int) -> list[tuple[int, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.landing.text_lines.BLOCK_BYTES", block_bytes)
        account: list[tuple[int, Any]] = []
        for chunk in read_csv(io.BytesIO(content), SPEND, 1 << 20):
            account += [(row["_line"], tuple(row.values())) for row in chunk.rows.to_pylist()]
            account += [(line.line, (line.rules, line.payload)) for line in chunk.refused]
    assert len({line for line, _ in account}) == len(account)
    return sorted(account, key=lambda entry: entry[0])


_STREAMING = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from lake.candidate import Run
from lake.settings import EngineSettings, LandSettings
from lake.tables import table
from sql.engines.duckdb import DuckDBEngine
from tasks.landing import land, pending_files

root, spend = Path(sys.argv[1]), table("bronze.marketing_spend")
peaks = []
with DuckDBEngine(EngineSettings(), root / "spill") as engine:
    for inbox in ("small", "large"):
        files = pending_files(root / inbox, spend, lambda _: False, limit=1)
        run = Run(inbox, datetime(2026, 1, 1, tzinfo=UTC))
        candidate = land(engine, spend, files, root / "staging", run, LandSettings())
        assert candidate.balance.published == candidate.balance.received > 0
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
print(peaks[1] - peaks[0])
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    line = "{},c1,2026-01-31,12.10,100,7\n"
    text = "y" * 400
    # The small file already fills blocks and row groups; the large one is three times as long.
    for inbox, rows in (("small", 130_000), ("large", 360_000)):
        folder = tmp_path / inbox / SPEND.name
        folder.mkdir(parents=True)
        with (folder / "a.csv").open("w") as file:
            file.write(",".join(NAMES) + "\n")
            file.writelines(line.format(f"{text}{i}") for i in range(rows))
    command = [sys.executable, "-c", _STREAMING, str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    growth_mib = int(done.stdout)
    # The file is 90 MiB longer, and rows held as Python objects take several times that.
    assert growth_mib < 70
