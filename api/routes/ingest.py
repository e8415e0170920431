"""POST /api/v1/ingest and /api/v1/ingest/batch: rows go in; the answer comes when they are on the disk."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.openapi import problem_responses
from api.problems import FieldError, Problem, conflict, malformed, unavailable, unprocessable, unsupported
from api.routes.ingest_examples import BATCH_ANSWERS, BATCH_BODY, ROW_ANSWERS, ROW_BODY
from api.rows.batch import Batch, RefusedRow, read_batch
from api.rows.body import read_body
from api.rows.row import read_row
from api.rows.validation import as_text_table, check
from api.security.keys import ApiKey
from api.writer import protocol
from api.writer.client import WriterClient
from api.writer.protocol import BatchCommitted, Busy, Committed, Conflict, Reply, RowRefused, digest_of
from lake.settings import Settings

router = APIRouter(prefix="/api/v1", tags=["ingest"])

_IDEMPOTENCY_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_STORAGE_RETRY_S = 5
# Smaller ones are read faster than a thread takes over.
_THREAD_FROM_BYTES = 128 * 1024
_encode = msgspec.json.Encoder().encode
_JSON = (b"content-type", b"application/json")
_REPLAYED = (b"idempotent-replayed", b"true")


@dataclass(slots=True)
class _Asked:
    """What a request's head asks for."""

    content_type: bytes = b""
    idempotency_key: bytes = b""
    respond_async: bool = False

    def idempotency(self, key: ApiKey) -> str:
        """Digest of API key and Idempotency-Key; empty without one."""
        return digest_of(key.id.encode() + b"\0" + self.idempotency_key) if self.idempotency_key else ""


class _Answer(Response):
    """JSON bytes, written as they are."""

    def __init__(self, status: int, content: bytes, *more: tuple[bytes, bytes]) -> None:
        self.status_code, self.body, self.background = status, content, None
        self.raw_headers = [_JSON, (b"content-length", b"%d" % len(content)), *more]


@router.post(
    "/ingest",
    status_code=201,
    summary="One row",
    description="Appends one transaction to bronze. 201 means: it is in the version named, and on the disk. A repeat "
    "with the same transaction_id, or the same Idempotency-Key, gets the first answer and adds nothing. With "
    "`Prefer: respond-async` the answer is 202 as soon as the row was checked: a crash may lose it. Needs the scope "
    "ingest.",
    openapi_extra=ROW_BODY,
    responses={
        **ROW_ANSWERS,
        **problem_responses("malformed", "conflict", "too-large", "unsupported", "unprocessable"),
    },
)
async def ingest(request: Request) -> Response:
    state = request.app.state
    settings: Settings = state.settings
    asked = _asked(request)
    if asked.content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise unsupported("Send the row as application/json; many rows go to /api/v1/ingest/batch.")
    body = await read_body(request.receive, request.scope["headers"], settings.api.max_row_bytes)
    values = read_row(body)
    key: ApiKey = request.scope["state"]["key"]
    idempotency = asked.idempotency(key)
    digest = digest_of(body) if idempotency else ""
    writer: WriterClient = state.writer

    def make(seq: int) -> protocol.Row:
        return protocol.Row(seq, key.id, idempotency, digest, values)

    if asked.respond_async:
        # Nobody will hear of what the writer finds wrong.
        for _, errors in check(as_text_table([values])).refused:
            raise _row_refused(errors)
        writer.send(make)
        return _Answer(202, _encode({"transaction_id": values[0], "rows": 1, "status": "accepted"}))
    reply = await writer.ask(make)
    if isinstance(reply, Committed):
        content = _encode({"transaction_id": values[0], "version": reply.version, "rows": 1, "status": "committed"})
        return _Answer(201, content, _REPLAYED) if reply.repeated else _Answer(201, content)
    raise _refusal(reply)


class QuickRoute(Route):
    """The route of single rows once more, without the framework's solving of dependencies, of which it has none.

    That is a fifth of a request's cost. The route above describes it in the OpenAPI document.
    """

    def __init__(self) -> None:
        super().__init__(f"{router.prefix}/ingest", self._answer, methods=["POST"], include_in_schema=False)
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self
        response = await ingest(Request(scope, receive, send))
        await response(scope, receive, send)


@router.post(
    "/ingest/batch",
    status_code=201,
    summary="Many rows",
    description="Appends the valid rows of a JSON array, JSON lines or an Arrow IPC stream in one version; the others "
    "go to quarantine and are listed by their position. With `strict=true` it is all rows or none. The body may be "
    "compressed (gzip, zstd). What 201 means, repeats and `Prefer: respond-async` are as for one row. Needs the scope "
    "ingest.",
    openapi_extra=BATCH_BODY,
    responses={
        **BATCH_ANSWERS,
        **problem_responses("malformed", "conflict", "too-large", "unsupported", "unprocessable"),
    },
)
async def ingest_batch(
    request: Request,
    strict: Annotated[bool, Query(description="All rows or none; refused ones are not quarantined then.")] = False,
) -> Response:
    state = request.app.state
    settings: Settings = state.settings
    asked = _asked(request)
    headers, most = request.scope["headers"], settings.api.max_batch_bytes
    # Held until the answer, as the rows wait in memory until then.
    with state.bodies.hold(headers, most):
        body = await read_body(request.receive, headers, most)
        kind, keyed = asked.content_type.decode("latin-1"), bool(asked.idempotency_key)
        batch, digest = await _read(kind, body, settings.api.max_batch_rows, keyed=keyed)
        del body
        return await _send(request, asked, batch, digest, strict=strict)


async def _send(request: Request, asked: _Asked, batch: Batch, digest: str, *, strict: bool) -> Response:
    if strict and batch.refused:
        raise unprocessable(
            f"{len(batch.refused)} of {batch.received} rows are refused, so none was taken.", _errors(batch.refused)
        )
    key: ApiKey = request.scope["state"]["key"]
    make = _message(batch, key.id, asked.idempotency(key), digest, request.scope["state"]["request_id"], strict=strict)
    writer: WriterClient = request.app.state.writer
    if asked.respond_async:
        writer.send(make)
        return _Answer(202, _encode({"received": batch.received, "status": "accepted"}))
    reply = await writer.ask(make)
    if not isinstance(reply, BatchCommitted):
        raise _refusal(reply)
    return _batch_answer(batch, reply)


def _asked(request: Request) -> _Asked:
    """Read the head once.

    Raises:
        Problem: 400 for an Idempotency-Key that is none.
    """
    asked = _Asked()
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            asked.content_type = value
        elif name == b"idempotency-key":
            if not _IDEMPOTENCY_KEY.fullmatch(value) or asked.idempotency_key:
                raise malformed("Idempotency-Key must be given once, with 1 to 255 visible ASCII characters.")
            asked.idempotency_key = value
        elif name == b"prefer":
            asked.respond_async |= b"respond-async" in [part.strip().lower() for part in value.split(b",")]
    return asked


async def _read(content_type: str, body: bytes, max_rows: int, *, keyed: bool) -> tuple[Batch, str]:
    """The batch, and the digest of its body where something will be known by it."""

    def read() -> tuple[Batch, str]:
        batch = read_batch(content_type, body, max_rows=max_rows)
        return batch, digest_of(body) if keyed or batch.refused else ""

    return await asyncio.to_thread(read) if len(body) > _THREAD_FROM_BYTES else read()


def _message(
    batch: Batch, key: str, idempotency: str, digest: str, request_id: str, *, strict: bool
) -> Callable[[int], protocol.Batch]:
    """The batch for the writer, once it has a number."""
    refused = tuple(
        protocol.RefusedRow(row.index, tuple(e.rule for e in row.errors), row.payload) for row in batch.refused
    )
    rows, indexes = protocol.as_stream(batch.rows), batch.indexes.tobytes()
    repeated = len(batch.duplicates)
    return lambda seq: protocol.Batch(
        seq, key, idempotency, digest, request_id, strict, batch.received, repeated, rows, indexes, refused
    )


def _batch_answer(batch: Batch, reply: BatchCommitted) -> Response:
    conflicts = [_conflicting(index) for index in reply.conflicts]
    refused = sorted((*batch.refused, *conflicts), key=lambda row: row.index)
    if reply.version is None:
        raise unprocessable(
            f"None of {batch.received} rows was taken; {reply.quarantined} are in quarantine.",
            _errors(refused),
            {"quarantined": reply.quarantined},
        )
    content = _encode(
        {
            "version": reply.version,
            "received": batch.received,
            "committed": reply.committed,
            "duplicates": reply.duplicates,
            "quarantined": reply.quarantined,
            "refused": [{"index": row.index, "errors": row.errors} for row in refused],
        }
    )
    return _Answer(201, content, _REPLAYED) if reply.replayed else _Answer(201, content)


def _conflicting(index: int) -> RefusedRow:
    return RefusedRow(index, (_conflict_error(index),), "")


def _conflict_error(index: int | None) -> FieldError:
    where = "#/transaction_id" if index is None else f"#/{index}/transaction_id"
    return FieldError(where, "transaction_id_conflict", "The id is in the table with other values.")


def _errors(rows: Iterable[RefusedRow]) -> list[FieldError]:
    return [error for row in rows for error in row.errors]


def _row_refused(errors: Sequence[FieldError]) -> Problem:
    return unprocessable(f"The row breaks {len(errors)} rule{'s' if len(errors) > 1 else ''}.", errors)


def _refusal(reply: Reply) -> Problem:
    match reply:
        case RowRefused(broken=broken):
            return _row_refused([FieldError(b.pointer, b.rule, b.detail) for b in broken])
        case Conflict(what="idempotency_key"):
            return conflict("The Idempotency-Key was used with another body.")
        case Conflict(indexes=indexes):
            return conflict(
                "The transaction_id is in the table with other values.",
                [_conflict_error(i) for i in indexes] or [_conflict_error(None)],
            )
        case Busy(retry_after_s=seconds):
            return unavailable("More rows are waiting than the service holds.", seconds)
        case _:
            return unavailable("The storage does not take rows at present; nothing was added.", _STORAGE_RETRY_S)
