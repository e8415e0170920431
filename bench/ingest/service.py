"""Our service as it is measured: with a key, in a lake of its own, and what its table holds afterwards."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bench.ingest.server import Server, running
from bench.measure import BenchError
from lake.lake import Lake
from lake.settings import PROJECT_ROOT
from lake.tables import BRONZE_TRANSACTIONS

READY = "/health/ready"
_KEY = re.compile(r"\blhk_[A-Za-z0-9_-]+")
# The limit per key is passed like any other, and far above what is measured.
_REQUESTS_PER_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Contents:
    """What the table holds.

    Args:
        rows: Rows of its newest version.
        identifiers: Different `transaction_id`.
        files: Data files of its newest version.
        versions: Commits so far.
        bytes: Size of those files.
    """

    rows: int
    identifiers: int
    files: int
    versions: int
    bytes: int


@contextmanager
def serving(folder: Path, workers: int, *, with_key: bool = True) -> Iterator[tuple[Server, str | None]]:
    """`lakehouse serve` on the lake ``FOLDER/lake``, and a key for it; without one, in development mode.

    Raises:
        BenchError: It did not start, or did not stop.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        "LAKEHOUSE_LAKE__ROOT": str(folder / "lake"),
        "LAKEHOUSE_API__KEYS_FILE": str(folder / "keys.json"),
        "LAKEHOUSE_API__DEVELOPMENT": str(not with_key).lower(),
        "LAKEHOUSE_API__REQUESTS_PER_SECOND": str(_REQUESTS_PER_SECOND),
    }
    key = _create_key(environment, folder) if with_key else None
    arguments = ["cli", "serve", "--workers", str(workers)]
    with running(arguments, environment, folder / "service.log", READY) as server:
        yield server, key


def contents(root: Path) -> Contents:
    """Count the rows that REST wrote into the lake at `root`.

    Raises:
        BenchError: There is no table.
    """
    delta = Lake(root).open(BRONZE_TRANSACTIONS)
    if delta is None:
        raise BenchError(f"no {BRONZE_TRANSACTIONS.full_name} in {root}")
    files = delta.file_uris()
    counted = pl.scan_parquet(files).select(pl.len(), pl.col("transaction_id").n_unique()).collect(engine="streaming")
    rows, identifiers = counted.row(0)
    size = sum(Path(file).stat().st_size for file in files)
    return Contents(rows, identifiers, len(files), delta.version() + 1, size)


def _create_key(environment: Mapping[str, str], folder: Path) -> str:
    command = [sys.executable, "-m", "cli", "keys", "create", "bench", "--scope", "ingest"]
    variables = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), **environment}
    made = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False)
    found = _KEY.search(made.stdout)
    if found is None:
        raise BenchError(f"{' '.join(command[2:])} printed no key:\n{made.stdout}{made.stderr}")
    return found.group()
