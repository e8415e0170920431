"""A request's body to typed rows: the one door for batches of every format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from api.problems import FieldError, unprocessable, unsupported
from api.rows.arrow_rows import read_file, read_stream
from api.rows.json_rows import read_array, read_lines
from api.rows.received import Received
from api.rows.rules import inside, row_error

Reader = Callable[[bytes, int], Received]

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "application/json": read_array,
        "application/x-ndjson": read_lines,
        "application/jsonl": read_lines,
        "application/jsonlines": read_lines,
        "application/vnd.apache.arrow.stream": read_stream,
        "application/vnd.apache.arrow.file": read_file,
    }
)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that may not enter.

    Args:
        index: Position in the request, from 0.
        errors: What is wrong; pointers begin with the index (``#/17/amount``).
        payload: The row as it came; of an Arrow row, JSON of its columns.
    """

    index: int
    errors: tuple[FieldError, ...]
    payload: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one request; received = rows + refused + duplicates.

    Args:
        rows: Good rows with the declared payload types, each transaction_id once.
        indexes: Their positions in the request, from 0, ascending.
        refused: Rows that break rules, ascending.
        received: Rows in the request.
        duplicates: Position of each good row that is the same as an earlier one, and the position of that one.
    """

    rows: pa.Table
    indexes: npt.NDArray[np.int64]
    refused: tuple[RefusedRow, ...]
    received: int
    duplicates: tuple[tuple[int, int], ...] = ()


def read_batch(content_type: str, body: bytes, *, max_rows: int) -> Batch:
    """Read, judge and type the rows of a body.

    Args:
        content_type: Header of the request; one of `READERS`.
        body: Decoded (see `api.rows.body`).
        max_rows: Most rows taken.

    Raises:
        Problem: 400 unreadable, 413 too many rows, 415 unknown content type, 422 no rows or columns of wrong types.
    """
    received = _reader(content_type)(body, max_rows)
    if not received.count:
        raise unprocessable("The batch has no rows.")
    rows, indexes = received.checked.rows, received.checked.kept
    refused = list(received.checked.refused)
    duplicates: tuple[tuple[int, int], ...] = ()
    repeats = _Repeats.of(rows)
    if repeats is not None:
        conflict = (row_error("transaction_id_conflict", "transaction_id"),)
        refused += [(int(place), conflict) for place in indexes[repeats.differ]]
        refused.sort(key=lambda entry: entry[0])
        pairs = zip(indexes[repeats.same].tolist(), indexes[repeats.first_of[repeats.same]].tolist(), strict=True)
        duplicates = tuple(pairs)
        rows, indexes = rows.take(pa.array(repeats.first)), indexes[repeats.first]
    payloads = received.payloads([place for place, _ in refused])
    found = tuple(
        RefusedRow(place, tuple(inside(place, error) for error in errors), payload)
        for (place, errors), payload in zip(refused, payloads, strict=True)
    )
    return Batch(rows, indexes, found, received.count, duplicates)


def _reader(content_type: str) -> Reader:
    kind, *parameters = (part.strip() for part in content_type.lower().split(";"))
    charset = [p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")]
    reader = READERS.get(kind)
    if reader is None or any(name not in ("utf-8", "utf8") for name in charset):
        raise unsupported(f"Rows are taken as {', '.join(READERS)}; JSON in UTF-8.", {"Accept": ", ".join(READERS)})
    return reader


@dataclass(frozen=True, slots=True)
class _Repeats:
    """Where a transaction_id stands again: positions of first rows, of rows like their first, and of different ones."""

    first: npt.NDArray[np.int64]
    same: npt.NDArray[np.int64]
    differ: npt.NDArray[np.int64]
    first_of: npt.NDArray[np.int64]

    @classmethod
    def of(cls, rows: pa.Table) -> _Repeats | None:
        """None when every id stands once."""
        ids = rows.column("transaction_id")
        if pl.Series(ids).n_unique() == rows.num_rows:
            return None
        coded: Any = pc.dictionary_encode(ids.combine_chunks())
        codes = coded.indices.to_numpy()
        _, first = np.unique(codes, return_index=True)
        first_of = np.sort(first)[codes]
        again = np.flatnonzero(first_of != np.arange(rows.num_rows))
        here, there = rows.take(pa.array(again)), rows.take(pa.array(first_of[again]))
        alike = np.ones(len(again), np.bool_)
        for one, other in zip(here.columns, there.columns, strict=True):
            alike &= pc.equal(one, other).combine_chunks().to_numpy(zero_copy_only=False)
        return cls(np.sort(first), again[alike], again[~alike], first_of)
