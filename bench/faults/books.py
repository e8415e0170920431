"""What callers were told, held against what the table holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from bench.ingest.bodies import Bodies
from bench.measure import BenchError
from lake.errors import VersionGoneError
from lake.lake import Lake
from lake.log_listing import list_log
from lake.rest_rows import REST, VERSION_DIGITS
from lake.tables import BRONZE_TRANSACTIONS

_KEY = BRONZE_TRANSACTIONS.key[0]
_VERSIONS_READ = 3
Told = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Books:
    """What became of the rows that callers were told are in the table.

    Args:
        acknowledged: Rows that were answered with success.
        lost: Of these, those that are not in the table.
        twice: Ids of any row that are in the table more than once.
        elsewhere: Acknowledged rows that lie in another version than the answer named.
        rows: Rows in the table, acknowledged or not.
        files: Files of its newest version.
        version: Its newest version.
    """

    acknowledged: int
    lost: int
    twice: int
    elsewhere: int
    rows: int
    files: int
    version: int

    @property
    def is_exact(self) -> bool:
        return not (self.lost or self.twice or self.elsewhere)


def told(bodies: Bodies, acknowledged: Iterable[tuple[int, int]]) -> dict[str, int]:
    """Version that callers were told of each row, from what a load recorded."""
    return {identifier: version for number, version in acknowledged for identifier in bodies.identifiers(number)}


def close_books(root: Path, rows_told: Told) -> Books:
    """Read the whole table with deltalake and Polars and compare.

    Args:
        root: The lake's.
        rows_told: Version that callers were told of each `transaction_id`.

    Raises:
        BenchError: The two readers do not see the same rows, or there is no table.
        LakehouseError: The table cannot be read.
    """
    delta = Lake(root).open(BRONZE_TRANSACTIONS)
    if delta is None:
        raise BenchError(f"no {BRONZE_TRANSACTIONS.full_name} in {root}")
    columns = [_KEY, "_batch_id"]
    files = delta.file_uris()
    there = pl.scan_parquet(files).select(columns).collect()
    by_arrow = pl.from_arrow(delta.to_pyarrow_table(columns=columns))
    assert isinstance(by_arrow, pl.DataFrame), "a table becomes a frame"
    if not there.sort(columns).equals(by_arrow.cast(there.schema).sort(columns)):
        raise BenchError("deltalake and Polars do not see the same rows")
    in_version = pl.col("_batch_id").str.slice(len(REST), VERSION_DIGITS).cast(pl.Int64)
    there = there.select(_KEY, in_version.alias("version"))
    said = pl.DataFrame({_KEY: list(rows_told), "said": list(rows_told.values())}, {_KEY: pl.String, "said": pl.Int64})
    found = said.join(there.unique(_KEY), on=_KEY, how="left")
    _require_versions(root, said)
    return Books(
        acknowledged=said.height,
        lost=found["version"].null_count(),
        twice=there.height - there[_KEY].n_unique(),
        elsewhere=found.filter(pl.col("version") != pl.col("said")).height,
        rows=there.height,
        files=len(files),
        version=int(delta.version()),
    )


def _require_versions(root: Path, said: pl.DataFrame) -> None:
    """Versions that answers named hold their rows when the table is opened at them.

    Raises:
        BenchError: One does not.
    """
    oldest = min(list_log(Lake(root).path(BRONZE_TRANSACTIONS)).entries)
    versions = said.filter(pl.col("said") >= oldest)["said"].unique().sort()
    for version in versions.gather_every(max(1, len(versions) // _VERSIONS_READ)).to_list():
        try:
            delta = Lake(root).open(BRONZE_TRANSACTIONS, version)
        except VersionGoneError:
            # Upkeep of a service that still runs cleans the log meanwhile.
            continue
        assert delta is not None, "a table with a log exists"
        rows = pa.table(delta.to_pyarrow_table(columns=[_KEY]))
        if not set(said.filter(pl.col("said") == version)[_KEY]) <= set(rows[_KEY].to_pylist()):
            raise BenchError(f"version {version} does not hold the rows whose answers named it")
