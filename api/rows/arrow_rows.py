"""Rows in Arrow IPC: columns by name, in any of the types that hold what the declared ones hold."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from api.problems import FieldError, too_large, unprocessable
from api.rows.ipc import bound_messages, reading, stream_of_file
from api.rows.received import Payloads, Received, visible
from api.rows.rules import COLUMNS, MAX_TEXT_CHARS, NAMES, TYPED, column_error
from api.rows.validation import check_typed
from api.rows.value_rules import BEHIND_US, MAX_AMOUNT, Rule
from lake.table import MONEY, TEXT, TIMESTAMP, Column

_US_PER_UNIT = {"s": 1_000_000, "ms": 1_000, "us": 1}
_NS_PER_US = 1_000
_MAX_UTF8_BYTES = 4
# Wide enough for any integer with MONEY's scale.
_WIDE_MONEY = pa.decimal128(22, MONEY.scale)
_WANTED = {
    TEXT: "string, large_string, string_view or a dictionary of one of these",
    TIMESTAMP: "a timestamp with a time zone, of any unit",
    MONEY: "a decimal with a scale from 0 to its precision, or an integer",
}


def read_stream(body: bytes, max_rows: int) -> Received:
    """Rows of an Arrow IPC stream.

    Raises:
        Problem: 400 when the stream is damaged, 413 when it is too large, 422 when its columns are not a row's.
    """
    return _received(_read(memoryview(body), max_rows, to_the_end=True))


def read_file(body: bytes, max_rows: int) -> Received:
    """Rows of an Arrow IPC file; its stream is read, its footer is not.

    Raises:
        Problem: See `read_stream`.
    """
    return _received(_read(stream_of_file(body), max_rows, to_the_end=False))


def _read(body: memoryview, max_rows: int, *, to_the_end: bool) -> pa.Table:
    """Validated rows in declared order, with the types they came in."""
    stream = pa.py_buffer(body)
    bound_messages(stream, max_rows, to_the_end=to_the_end)
    with reading():
        reader = pa.ipc.open_stream(stream)
        schema = reader.schema
        # Names and zones are bytes that need not be UTF-8.
        errors = _schema_errors(schema)
    if errors:
        raise unprocessable("The columns are not those of a row.", errors)
    batches = []
    count = 0
    while True:
        with reading():
            batch = next(reader, None)
            if batch is None:
                break
            batch.validate(full=True)
        count += batch.num_rows
        if count > max_rows:
            raise too_large(f"The batch has more than {max_rows} rows, the most that are taken at a time.")
        batches.append(batch)
    with reading():
        rows = pa.Table.from_batches(batches, schema).select(NAMES)
        _bound_texts(rows, len(body))
        return rows


def _schema_errors(schema: pa.Schema) -> list[FieldError]:
    names = schema.names
    errors = []
    for column in COLUMNS:
        wanted = _WANTED[column.type]
        if names.count(column.name) > 1:
            errors.append(column_error("duplicate_column", column.name))
        elif column.name not in names:
            errors.append(column_error("missing_column", column.name, wanted=wanted))
        elif not _is_taken(kind := schema.field(column.name).type, column):
            rule = "occurred_at_has_no_zone" if pa.types.is_timestamp(kind) and kind.tz is None else "column_type"
            errors.append(column_error(rule, column.name, found=kind, wanted=wanted))
    unknown = list(dict.fromkeys(name for name in names if name not in NAMES))
    errors += [column_error("unknown_column", name) for name in unknown[:20]]
    return errors


def _is_taken(kind: pa.DataType, column: Column) -> bool:
    kinds = pa.types
    if column.type == TIMESTAMP:
        return bool(kinds.is_timestamp(kind) and kind.tz is not None)
    if column.type == MONEY:
        # Arrow reads any scale from a stream, and crashes when it converts from an impossible one.
        return bool(kinds.is_integer(kind) or (kinds.is_decimal(kind) and 0 <= kind.scale <= kind.precision))
    return _is_text(kind)


def _is_text(kind: pa.DataType) -> bool:
    kinds = pa.types
    text = kind.value_type if kinds.is_dictionary(kind) else kind
    return bool(kinds.is_string(text) or kinds.is_large_string(text) or kinds.is_string_view(text))


def _bound_texts(rows: pa.Table, body_bytes: int) -> None:
    """Refuse texts that many rows share and that are too large when each row has its own.

    Raises:
        Problem: 413.
    """
    # One long text of a batch is bounded by the body; what is beyond is shared.
    allowed = body_bytes + rows.num_rows * len(COLUMNS) * MAX_TEXT_CHARS * _MAX_UTF8_BYTES
    if sum(_text_bytes(chunk) for column in rows.columns for chunk in column.chunks) > allowed:
        raise too_large(f"Texts may have {MAX_TEXT_CHARS} characters; rows share some that have far more.")


def _text_bytes(values: Any) -> int:
    """Bytes that text needs in a column of its own; 0 for what is stored so already."""
    if pa.types.is_dictionary(values.type):
        lengths = _lengths(values.dictionary)
        used: npt.NDArray[np.int64] = lengths[values.indices.drop_null().to_numpy()]
        return int(used.sum())
    return int(_lengths(values).sum()) if pa.types.is_string_view(values.type) else 0


def _lengths(texts: Any) -> npt.NDArray[np.int64]:
    """UTF-8 bytes of each text; 0 where NULL."""
    if not pa.types.is_string_view(texts.type):
        lengths: npt.NDArray[np.int64] = pc.fill_null(pc.cast(pc.binary_length(texts), pa.int64()), 0).to_numpy()
        return lengths
    if not len(texts):
        return np.zeros(0, np.int64)
    # A view is 16 bytes, the first four of which are the length (Arrow columnar format, variable-size binary view).
    views = np.frombuffer(texts.buffers()[1], np.int32)[4 * texts.offset : 4 * (texts.offset + len(texts)) : 4]
    return np.where(texts.is_valid().to_numpy(zero_copy_only=False), views, 0).astype(np.int64)


def _received(rows: pa.Table) -> Received:
    known: list[Rule] = []
    with reading():
        columns = {c.name: _plain(rows.column(c.name)) for c in COLUMNS}
    typed = [_typed(columns[c.name], c, known) for c in COLUMNS]
    checked = check_typed(pa.Table.from_arrays(typed, schema=TYPED), known)
    return Received(rows.num_rows, checked, _payloads(columns))


def _typed(values: Any, column: Column, known: list[Rule]) -> Any:
    if values.type == column.type:
        return values
    convert = _moments if column.type == TIMESTAMP else _amounts
    converted, rules = convert(values)
    known += [(column.name, key, mask) for key, mask in rules if mask.any()]
    return converted


def _plain(column: Any) -> Any:
    """A column in one array; every kind of text as plain text."""
    if not _is_text(column.type):
        return column.combine_chunks()
    return pa.chunked_array([_plain_text(chunk) for chunk in column.chunks], TEXT).combine_chunks()


def _plain_text(values: Any) -> Any:
    if not pa.types.is_dictionary(values.type):
        return pc.cast(values, TEXT)
    return pc.take(pc.cast(values.dictionary, TEXT), values.indices)


Rules = list[tuple[str, npt.NDArray[np.bool_]]]


def _moments(values: Any) -> tuple[Any, Rules]:
    """Instants in microseconds; those out of a declared moment's reach become one out of range."""
    numbers = values.view(pa.int64())
    valid = numbers.is_valid().to_numpy(zero_copy_only=False)
    given = pc.fill_null(numbers, 0).to_numpy()
    rules: Rules = []
    if values.type.unit == "ns":
        us, below = np.divmod(given, _NS_PER_US)
        rules.append(("too_precise", below != 0))
    else:
        factor = _US_PER_UNIT[values.type.unit]
        most = BEHIND_US // factor
        us = np.clip(given, -most, most) * factor
    return pa.array(us, pa.int64(), mask=~valid).view(TIMESTAMP), rules


def _amounts(values: Any) -> tuple[Any, Rules]:
    try:
        wide = pc.cast(values, _WIDE_MONEY) if pa.types.is_integer(values.type) else values
        return pc.cast(wide, MONEY), []
    except pa.ArrowException:
        return _amounts_one_by_one(values)


def _amounts_one_by_one(values: Any) -> tuple[Any, Rules]:
    """Amounts of which at least one does not fit; those become 0 and break a rule."""
    fine = np.zeros(len(values), np.bool_)
    beyond = np.zeros(len(values), np.bool_)
    kept: list[Decimal | None] = []
    # Exact for every decimal that Arrow has.
    with localcontext(Context(prec=200)):
        for i, value in enumerate(values.to_pylist()):
            amount = None if value is None else Decimal(value)
            if amount is not None:
                beyond[i] = not 0 <= amount <= MAX_AMOUNT
                fine[i] = not beyond[i] and amount.scaleb(MONEY.scale) % 1 != 0
            kept.append(Decimal(0) if beyond[i] or fine[i] else amount)
    return pa.array(kept, MONEY), [("too_precise", fine), ("out_of_range", beyond)]


def _payloads(columns: dict[str, Any]) -> Payloads:
    def payloads(places: Sequence[int]) -> list[str]:
        if not places:
            return []
        chosen = pa.array(places, pa.int64())
        texts = [_as_text(pc.take(values, chosen)) for values in columns.values()]
        return [visible(_json(values)) for values in zip(*texts, strict=True)]

    return payloads


def _json(values: Sequence[str | None]) -> str:
    return msgspec.json.encode(dict(zip(NAMES, values, strict=True))).decode()


def _as_text(values: Any) -> list[str | None]:
    if pa.types.is_timestamp(values.type):
        # Arrow's cast would look the zone up in a database, and a stranger names it.
        values = values.view(pa.int64()).view(pa.timestamp(values.type.unit, "UTC"))
    texts: list[str | None] = pc.cast(values, TEXT).to_pylist()
    return texts
