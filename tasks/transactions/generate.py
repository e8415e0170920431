"""Writing the feed and its truth: to a file of one's own, or as a candidate for the bronze table."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from lake.candidate import Balance, Candidate, Run
from lake.errors import BadInputError, StorageError
from lake.settings import TransactionSettings
from lake.table import COUNT, TEXT, TIMESTAMP
from lake.tables.bronze import TRANSACTIONS
from tasks.export import whole_file
from tasks.generation.row_groups import ROW_GROUP_ROWS, ParquetFile, RowFile, RowGroups
from tasks.landing.landing import staged_in
from tasks.transactions.cells import Progress, drawn_cells
from tasks.transactions.columns import TRANSACTION_CODES, TRUTH_CODES
from tasks.transactions.csv_file import CsvFile
from tasks.transactions.economy import FORMAT_VERSION
from tasks.transactions.feed import Feed

SUFFIXES = (".csv", ".parquet")
SOURCE = "generated"
# About 70 MB a file with the ingest columns.
FILE_ROWS = 48 * ROW_GROUP_ROWS
# They decide how the rows come about, not which.
_NOT_IDENTITY = {"enabled", "chunk_rows", "threads"}
_STAGED_CODES = (*TRANSACTION_CODES, "_source", "_batch_id")


@dataclass(frozen=True, slots=True)
class TransactionsWritten:
    """What was written.

    Args:
        rows: Transactions.
        truth: Rows of the truth by rule; a transaction that must fire two rules counts with both.
        path: File of the transactions.
        truth_path: Parquet file of the truth, with the columns of audit.transaction_truth.
    """

    rows: int
    truth: dict[str, int]
    path: Path
    truth_path: Path


def batch_id(settings: TransactionSettings) -> str:
    """SHA-256 over the generator's version and every setting that decides the rows."""
    identity = settings.model_dump(mode="json", exclude=_NOT_IDENTITY) | {"format_version": FORMAT_VERSION}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def generate_file(settings: TransactionSettings, target: Path, progress: Progress | None = None) -> TransactionsWritten:
    """Write transactions to a file and their truth to ``<stem>.truth.parquet`` beside it, both whole or neither.

    Args:
        settings: What to draw. `chunk_rows` bounds the rows in memory and `threads` the time; neither changes a byte.
        target: A ``.csv`` or ``.parquet`` file; what lies there is replaced.
        progress: Told rows done and rows in all.

    Raises:
        BadInputError: The file has another suffix, or is a directory.
        ConfigurationError: The settings contradict each other (`tasks.transactions.layout.Layout`).
        StorageError: The directory cannot be written, or the disk is full; what lay there before is untouched.
    """
    if target.suffix not in SUFFIXES:
        raise BadInputError(
            f"the suffix {target.suffix!r} names no format for transactions",
            where=str(target),
            mend=f"end the name with {' or '.join(SUFFIXES)}",
        )
    if target.is_dir():
        raise BadInputError("this is a directory, not a file", where=str(target), mend="name a file in it")
    feed = Feed(settings)
    truth_path = target.with_name(f"{target.stem}.truth.parquet")
    rules: Counter[str] = Counter()

    def open_rows(path: Path) -> RowFile:
        return CsvFile(path) if target.suffix == ".csv" else ParquetFile(path, TRANSACTION_CODES)

    with _explained(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    # The truth takes its name first: transactions that can be seen have one.
    with (
        whole_file(target) as rows_path,
        whole_file(truth_path) as known_path,
        _explained(target.parent),
        RowGroups(lambda _: open_rows(rows_path)) as rows,
        RowGroups(lambda _: ParquetFile(known_path, TRUTH_CODES)) as known,
    ):
        for cell in drawn_cells(feed, settings, progress):
            rows.add(cell.transactions)
            known.add(cell.truth)
            rules.update(_rules(cell.truth))
        rows.close()
        known.close()
    return TransactionsWritten(rows.rows, dict(sorted(rules.items())), target, truth_path)


def stage_transactions(
    settings: TransactionSettings, directory: Path, run: Run, progress: Progress | None = None
) -> tuple[Candidate, tuple[Path, ...]]:
    """Stage transactions as rows of bronze.transactions, and their truth.

    Args:
        settings: See `generate_file`.
        directory: Of this run's candidates, on the lake's file system.
        run: Its time is every row's `_ingested_at`.
        progress: Told rows done and rows in all.

    Returns:
        A candidate in mode "append" whose batch is `batch_id(settings)`, and Parquet files with the schema of
        audit.transaction_truth.

    Raises:
        ConfigurationError: The settings contradict each other (`tasks.transactions.layout.Layout`).
        StorageError: The directory cannot be written, or the disk is full; nothing is left in staging.
    """
    feed, batch = Feed(settings), batch_id(settings)
    with staged_in(directory, TRANSACTIONS, (batch,)) as place, _explained(place):
        place.mkdir(parents=True)

        def rows_path(number: int) -> Path:
            return place / f"transactions-{number:05d}.parquet"

        def truth_path(number: int) -> Path:
            return place / f"truth-{number:05d}.parquet"

        with (
            RowGroups(lambda n: ParquetFile(rows_path(n), _STAGED_CODES), FILE_ROWS) as rows,
            RowGroups(lambda n: ParquetFile(truth_path(n), TRUTH_CODES), FILE_ROWS) as known,
        ):
            for cell in drawn_cells(feed, settings, progress):
                rows.add(_ingested(cell.transactions, rows.rows, batch, run))
                known.add(cell.truth)
            rows.close()
            known.close()
    files = tuple(rows_path(number) for number in range(rows.files))
    balance = Balance(received=rows.rows, published=rows.rows, duplicates=0, quarantined=0)
    candidate = Candidate(TRANSACTIONS.full_name, files, balance, mode="append", batches=(batch,))
    return candidate, tuple(truth_path(number) for number in range(known.files))


def _rules(truth: pa.RecordBatch) -> dict[str, int]:
    """Rows of the truth by rule."""
    rule = truth["rule"]
    counts = np.bincount(rule.indices, minlength=len(rule.dictionary))
    return {name: int(n) for name, n in zip(rule.dictionary.to_pylist(), counts, strict=True) if n}


def _ingested(rows: pa.RecordBatch, first: int, batch: str, run: Run) -> pa.RecordBatch:
    """The rows with the ingest columns; `first` of them come before."""
    count = rows.num_rows
    ingest = {
        "_ingested_at": pa.repeat(pa.scalar(run.at, TIMESTAMP), count),
        "_source": _constant(SOURCE, count),
        "_batch_id": _constant(batch, count),
        "_line": pa.array(np.arange(first + 1, first + count + 1), COUNT),
    }
    names = list(TRANSACTIONS.column_names)
    return pa.RecordBatch.from_arrays([ingest[n] if n in ingest else rows[n] for n in names], names=names)


def _constant(value: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([value], TEXT))


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write generated transactions: {error.strerror or error}",
            where=str(directory),
            mend="free space or give this user the right to write there, and run again",
        ) from error
