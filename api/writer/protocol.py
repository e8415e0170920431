"""What HTTP workers and the writer say to each other over a Unix socket.

Lists of these, in msgpack, are frames (`api.writer.frames`). Both sides are the same version of this code: there is no
negotiation.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec
import pyarrow as pa

_DIGEST_HEX = 32


class Row(msgspec.Struct, tag="r", array_like=True, frozen=True, gc=False):
    """One row, as texts in declared order.

    Args:
        seq: Number of the request on its connection.
        key: Id of the API key.
        idempotency: Digest of key and Idempotency-Key; empty without one.
        digest: Digest of the body; empty without an Idempotency-Key.
        values: The payload's texts.
    """

    seq: int
    key: str
    idempotency: str
    digest: str
    values: tuple[str, ...]


class RefusedRow(msgspec.Struct, array_like=True, frozen=True):
    """A row of a batch that the door refused.

    Args:
        index: Position in the request, from 0.
        rules: Names of the rules it broke.
        payload: The row as received.
    """

    index: int
    rules: tuple[str, ...]
    payload: str


class Batch(msgspec.Struct, tag="b", array_like=True, frozen=True):
    """Many rows that passed the door, and those that did not.

    Args:
        seq: Number of the request on its connection.
        key: Id of the API key.
        idempotency: Digest of key and Idempotency-Key; empty without one.
        digest: Digest of the body, under which its refused rows are quarantined once; empty when it has none and no
            Idempotency-Key.
        request_id: Named in quarantine.
        strict: All rows or none.
        received: Rows of the request.
        repeated: Rows that repeat one of the same request.
        rows: Arrow IPC stream of the typed rows.
        indexes: Positions of the rows in the request, int64 in native order.
        refused: What the door refused.
    """

    seq: int
    key: str
    idempotency: str
    digest: str
    request_id: str
    strict: bool
    received: int
    repeated: int
    rows: bytes
    indexes: bytes
    refused: tuple[RefusedRow, ...]


Request = Row | Batch


class Committed(msgspec.Struct, tag="c", array_like=True, frozen=True, gc=False):
    """The row is in `version`; `repeated` when it was before this request came."""

    seq: int
    version: int
    repeated: bool


class BrokenRule(msgspec.Struct, array_like=True, frozen=True):
    """Why the door refused a field: where, by which rule, and in words."""

    pointer: str
    rule: str
    detail: str


class RowRefused(msgspec.Struct, tag="x", array_like=True, frozen=True):
    """The row breaks rules; it is nowhere."""

    seq: int
    broken: tuple[BrokenRule, ...]


class BatchCommitted(msgspec.Struct, tag="d", array_like=True, frozen=True):
    """Where a batch's rows went.

    Args:
        seq: Of the request.
        version: Version that holds them all; None when no row of it was ever committed.
        committed: Rows that this request added.
        duplicates: Rows that were there already.
        quarantined: Rows in quarantine.
        conflicts: Positions of rows whose id is there with other values.
        replayed: Whether this is the answer to an earlier request with the same Idempotency-Key.
    """

    seq: int
    version: int | None
    committed: int
    duplicates: int
    quarantined: int
    conflicts: tuple[int, ...]
    replayed: bool


class Conflict(msgspec.Struct, tag="k", array_like=True, frozen=True):
    """The id, or the Idempotency-Key, is known with another body; for a strict batch, with the rows in question."""

    seq: int
    what: Literal["transaction_id", "idempotency_key"]
    indexes: tuple[int, ...] = ()


class Busy(msgspec.Struct, tag="y", array_like=True, frozen=True):
    """The queue is full: nothing was taken."""

    seq: int
    retry_after_s: int


class Failed(msgspec.Struct, tag="e", array_like=True, frozen=True):
    """The storage refused the commit; nothing of the request is in the table."""

    seq: int
    reason: str


class State(msgspec.Struct, tag="s", array_like=True, frozen=True):
    """How the writer is, told unasked a few times a second."""

    version: int
    queued_rows: int
    queued_bytes: int
    last_commit_s_ago: float | None
    failing: str


Reply = Committed | RowRefused | BatchCommitted | Conflict | Busy | Failed | State

requests_decoder = msgspec.msgpack.Decoder(list[Request])
replies_decoder = msgspec.msgpack.Decoder(list[Reply])


def digest_of(content: bytes) -> str:
    """128 bits of SHA-256, as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:_DIGEST_HEX]


def as_stream(rows: pa.Table) -> bytes:
    """Rows as an Arrow IPC stream, as `Batch.rows` has them."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    content: bytes = sink.getvalue().to_pybytes()
    return content
