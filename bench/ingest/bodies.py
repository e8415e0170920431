"""Bodies of requests made once and stamped per request, so that the load generator spends its time on the network.

Every row has an identifier of its own, shaped like a UUID: eight hexadecimal digits are the request's number, the rest
is random per row and run. Rows are of one width, so a whole batch is stamped with one strided assignment.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.ipc

from lake.tables import BRONZE_TRANSACTIONS

_NUMBER_DIGITS = 8
# Single rows differ as real ones do; more than fit into one commit, so that no column of it repeats.
_SINGLE_ROWS = 1_024
_CATEGORIES = ("grocery", "restaurant", "travel", "electronics", "fuel", "pharmacy")
_CHANNELS = ("in_store", "online")
_ACCOUNTS, _MERCHANTS, _MOST_CENTS = 50_000, 2_000, 100_000
_FIRST_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_MICROSECONDS_A_DAY = 86_400_000_000


class Form(StrEnum):
    """What a request carries."""

    ROW = "row"
    JSON = "json"
    NDJSON = "ndjson"
    ARROW = "arrow"


CONTENT_TYPES = {
    Form.ROW: "application/json",
    Form.JSON: "application/json",
    Form.NDJSON: "application/x-ndjson",
    Form.ARROW: "application/vnd.apache.arrow.stream",
}
PATHS = {form: "/api/v1/ingest" if form is Form.ROW else "/api/v1/ingest/batch" for form in Form}


@dataclass(frozen=True, slots=True)
class Bodies:
    """Bodies of one form, any number of them.

    Args:
        form: What they carry.
        rows: Rows of each.
        tails: The identifiers but for their first eight digits; request `n` uses all of them, a single row one.
        templates: Bodies to be stamped; request `n` uses number `n` modulo their count.
        stamps: Where to write the request's digits in each, shape (rows,), eight bytes an item.
    """

    form: Form
    rows: int
    tails: tuple[str, ...]
    templates: tuple[npt.NDArray[np.uint8], ...]
    stamps: tuple[npt.NDArray[np.bytes_], ...]

    def body(self, number: int) -> bytes:
        """The body of request `number`; below 16**8, each is another."""
        index = number % len(self.templates)
        self.stamps[index][:] = b"%08x" % number
        return self.templates[index].tobytes()

    def identifiers(self, number: int) -> list[str]:
        """The `transaction_id` of every row of request `number`, in order."""
        tails = (self.tails[number % len(self.tails)],) if self.form is Form.ROW else self.tails
        return [f"{number:0{_NUMBER_DIGITS}x}{tail}" for tail in tails]


def make_bodies(form: Form, rows: int = 1, seed: int = 0) -> Bodies:
    """Bodies of `rows` rows each (of one when `form` is `Form.ROW`); two seeds share no identifier."""
    count = _SINGLE_ROWS if form is Form.ROW else rows
    table = _transactions(count, np.random.default_rng(seed))
    identifiers = table.column("transaction_id").to_pylist()
    tails = tuple(text[_NUMBER_DIGITS:] for text in identifiers)
    if form is Form.ARROW:
        made = [_template(_arrow_stream(table), identifiers)]
    else:
        lines = [orjson.dumps(row | {"amount": orjson.Fragment(str(row["amount"]))}) for row in table.to_pylist()]
        if form is Form.ROW:
            made = [_template(line, [text]) for line, text in zip(lines, identifiers, strict=True)]
        else:
            width = max(map(len, lines))
            end = b"\n" if form is Form.NDJSON else b","
            body = b"".join(line.ljust(width) + end for line in lines)
            made = [_template(body if form is Form.NDJSON else b"[" + body[:-1] + b"]", identifiers)]
    templates, stamps = zip(*made, strict=True)
    return Bodies(form, 1 if form is Form.ROW else rows, tails, templates, stamps)


def _transactions(count: int, random: np.random.Generator) -> pa.Table:
    """Plausible card payments in the declared types."""
    random_bytes = random.bytes(16 * count)
    hexadecimal = [random_bytes[16 * n : 16 * n + 16].hex() for n in range(count)]
    microseconds = random.integers(0, 30 * _MICROSECONDS_A_DAY, count).tolist()
    values = {
        "transaction_id": [f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in hexadecimal],
        "account_id": [f"acc-{n:06}" for n in random.integers(0, _ACCOUNTS, count).tolist()],
        "merchant_id": [f"mer-{n:05}" for n in random.integers(0, _MERCHANTS, count).tolist()],
        "category": [_CATEGORIES[n] for n in random.integers(0, len(_CATEGORIES), count).tolist()],
        "occurred_at": [_FIRST_MOMENT + timedelta(microseconds=n) for n in microseconds],
        "amount": [Decimal(n).scaleb(-2) for n in random.integers(1, _MOST_CENTS, count).tolist()],
        "currency": ["EUR"] * count,
        "channel": [_CHANNELS[n] for n in random.integers(0, len(_CHANNELS), count).tolist()],
    }
    schema = pa.schema([pa.field(c.name, c.type) for c in BRONZE_TRANSACTIONS.payload])
    return pa.table(values, schema=schema)


def _arrow_stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue()


def _template(body: bytes, identifiers: list[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bytes_]]:
    """A body that can be written to, and the places of its request number."""
    places = [body.index(text.encode()) for text in identifiers[:2]]
    stride = places[1] - places[0] if len(places) > 1 else 0
    template = np.frombuffer(bytearray(body), dtype=np.uint8)
    stamps = np.ndarray(
        (len(identifiers),), dtype=f"S{_NUMBER_DIGITS}", buffer=template.data, offset=places[0], strides=(stride,)
    )
    return template, stamps
