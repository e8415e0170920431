"""Many rows in JSON, lines or an array: as columns where one program wrote them all alike, else one by one.

One row's mistake spoils neither its neighbours nor their positions. Memory stays in proportion to the body: nothing is
decoded into trees, and rows are counted before they are built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from api.problems import malformed, too_large, unprocessable
from api.rows.received import Received, visible
from api.rows.row import Examined, Texts, errors_of, examine, read_quickly
from api.rows.rows_alike import ARRAY, LINES, read_alike
from api.rows.validation import Checked, as_text_table, check

Elements = Callable[[], list[bytes]]

_SPACE = b" \t\r\n"
# Of so many bad rows every strange field is named.
_NAMED_IN_FULL = 100
# A row has seven commas; far more of them than rows can have are values nobody can want.
_MAX_COMMAS_PER_ROW = 16

_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


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

    table = read_alike(text, LINES, max_rows)
    return _one_by_one(lines()) if table is None else Received(count, check(table), _payloads(lines))


def read_array(body: bytes, max_rows: int) -> Received:
    """Rows of a JSON array; the position of a row is that in the array, from 0.

    Raises:
        Problem: 400 when the body is not JSON, 422 when it is no array, 413 when it has more elements than `max_rows`.
    """

    def elements() -> list[bytes]:
        return [bytes(element) for element in _elements(body, max_rows)]

    table = read_alike(body, ARRAY, max_rows)
    if table is None:
        return _one_by_one(elements())
    _bound(table.num_rows, max_rows)
    return Received(table.num_rows, check(table), _payloads(elements))


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
