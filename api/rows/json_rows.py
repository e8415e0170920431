"""Many rows in JSON, lines or an array: all at once when they are right, one by one when any is not.

One row's mistake spoils neither its neighbours nor their positions. Memory stays in proportion to the body: nothing is
decoded into trees, and rows are counted before they are built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from api.problems import malformed, too_large, unprocessable
from api.rows.received import Received, visible
from api.rows.row import (
    AMOUNT,
    NOT_DECODED,
    QUOTES_WITH_NUMBER,
    QUOTES_WITH_STRING,
    Examined,
    Row,
    Texts,
    errors_of,
    examine,
    read_quickly,
    unescaped_quotes,
)
from api.rows.rules import AS_TEXT
from api.rows.validation import Checked, as_text_table, check
from lake.table import TEXT

Elements = Callable[[], list[bytes]]

_SPACE = b" \t\r\n"
_QUOTE, _BRACE, _NEWLINE = b'"{\n'
_STARTS_OF_AMOUNTS = np.zeros(256, np.bool_)
_STARTS_OF_AMOUNTS[list(b'"-0123456789')] = True
# Of so many bad rows every strange field is named.
_NAMED_IN_FULL = 100
# A row has seven commas; far more of them than rows can have are values nobody can want.
_MAX_COMMAS_PER_ROW = 16

_decode_lines = msgspec.json.Decoder(Row).decode_lines
_decode_array = msgspec.json.Decoder(list[Row]).decode  # type: ignore[valid-type]  # made at run time
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_as_tuple = msgspec.structs.astuple


def read_lines(body: bytes, max_rows: int) -> Received:
    """Rows of NDJSON, one a line; the position of a row is that of its line, from 0.

    Empty lines may follow the last row; elsewhere one is a row that is not JSON.

    Raises:
        Problem: 413 when there are more lines than `max_rows`.
    """
    text = body.rstrip(_SPACE)
    count = text.count(b"\n") + 1 if text else 0
    _bound(count, max_rows)

    def lines() -> list[bytes]:
        return text.split(b"\n") if text else []

    if _begin_rows(text) and text.count(b"{") <= max_rows:
        try:
            table = _text_columns(_decode_lines(text), text)
        except NOT_DECODED:
            table = None
        if table is not None and table.num_rows == count:
            return Received(count, check(table), _payloads(lines))
    return _one_by_one(lines())


def read_array(body: bytes, max_rows: int) -> Received:
    """Rows of a JSON array; the position of a row is that in the array, from 0.

    Raises:
        Problem: 400 when the body is not JSON, 422 when it is no array, 413 when it has more elements than `max_rows`.
    """

    def elements() -> list[bytes]:
        return [bytes(element) for element in _elements(body, max_rows)]

    # Each row has a brace. Where there are more braces, perhaps in texts, elements are counted before any is built.
    if body.count(b"{") <= max_rows:
        try:
            table = _text_columns(_decode_array(body), body)
        except NOT_DECODED:
            table = None
        if table is not None and table.num_rows:
            return Received(table.num_rows, check(table), _payloads(elements))
    return _one_by_one(elements())


def _begin_rows(lines: bytes) -> bool:
    """Whether each line begins with a brace; msgspec also takes rows that share a line or are spread over some."""
    characters = np.frombuffer(lines, np.uint8)
    return lines.startswith(b"{") and bool((characters[np.flatnonzero(characters == _NEWLINE) + 1] == _BRACE).all())


def _bound(count: int, max_rows: int) -> None:
    if count > max_rows:
        raise too_large(f"The batch has {count} rows; at most {max_rows} are taken at a time.")


def _elements(body: bytes, max_rows: int) -> Sequence[msgspec.Raw]:
    """The elements of a JSON array, undecoded."""
    if body.count(b",") >= max_rows * _MAX_COMMAS_PER_ROW:
        raise too_large(f"The array has more values than {max_rows} rows, the most that are taken at a time.")
    try:
        found = _decode_elements(body)
    except msgspec.ValidationError:
        raise unprocessable("The body must be a JSON array of rows.") from None
    except RecursionError:
        raise unprocessable("Arrays or objects lie in one another too deep.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
        raise malformed(f"The body is not a JSON array: {reason}.") from None
    _bound(len(found), max_rows)
    return found


def _text_columns(rows: Sequence[msgspec.Struct], body: bytes) -> pa.Table | None:
    """Decoded rows as columns of text; None when any row needs a closer look."""
    if not rows:
        return None
    columns = list(zip(*map(_as_tuple, rows), strict=True))
    raw = pa.array(list(map(bytes, columns[AMOUNT])), pa.binary())
    _, offsets, values = raw.buffers()
    written = np.frombuffer(values, np.uint8)
    starts = written[np.frombuffer(offsets, np.int32)[: len(raw)]]
    if not _STARTS_OF_AMOUNTS[starts].all() or (written == ord("\\")).any():
        return None
    strings = int((starts == _QUOTE).sum())
    expected = QUOTES_WITH_NUMBER * len(rows) + (QUOTES_WITH_STRING - QUOTES_WITH_NUMBER) * strings
    if unescaped_quotes(body) != expected:
        return None
    try:
        amounts = pc.cast(raw, TEXT)
    except pa.ArrowInvalid:
        return None
    arrays = [pa.array(values, TEXT) if i != AMOUNT else None for i, values in enumerate(columns)]
    arrays[AMOUNT] = pc.utf8_trim(amounts, characters='"') if strings else amounts
    return pa.Table.from_arrays(arrays, schema=AS_TEXT)


def _one_by_one(elements: list[bytes]) -> Received:
    good: list[Texts] = []
    places: list[int] = []
    bad: list[Examined] = []
    bad_places: list[int] = []
    for place, element in enumerate(elements):
        texts = read_quickly(element)
        if texts is None:
            examined = examine(element) if len(bad) < _NAMED_IN_FULL else examine(element, max_strange=1)
            if examined.texts is None:
                bad.append(examined)
                bad_places.append(place)
                continue
            texts = examined.texts
        good.append(texts)
        places.append(place)
    checked = check(as_text_table(good))
    refused = [(places[position], errors) for position, errors in checked.refused]
    refused += zip(bad_places, errors_of(bad), strict=True)
    refused.sort(key=lambda entry: entry[0])
    kept = np.array(places, np.int64)[checked.kept]
    return Received(len(elements), Checked(checked.rows, kept, refused), _payloads(lambda: elements))


def _payloads(elements: Elements) -> Callable[[Sequence[int]], list[str]]:
    def payloads(places: Sequence[int]) -> list[str]:
        if not places:
            return []
        found = elements()
        return [visible(found[place].removesuffix(b"\r").decode("utf-8", "replace")) for place in places]

    return payloads
