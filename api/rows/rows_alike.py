"""JSON rows that are laid out alike, as one program writes them, read as columns without an object for any value.

The quotes cut a text into what stands inside them and what stands between. Where no text has an escape, and everything
but the values is in each row byte for byte what it is in the first, the rows are right if the first one is: it alone is
parsed. Anything else is left to the reading one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from api.rows.row import AMOUNT, QUOTES_WITH_NUMBER, QUOTES_WITH_STRING, read_quickly
from api.rows.rules import AS_TEXT, NAMES
from lake.table import TEXT

_QUOTE = ord('"')
_FIRST_PRINTABLE = 0x20
_SPACE = r"[ \t\r\n]*"
# RFC 8259, "Numbers".
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_AROUND_NUMBERS = '":,{}[] \t\r\n'


@dataclass(frozen=True, slots=True)
class Layout:
    """What may stand around rows; regular expressions.

    Args:
        before: Before the first one's brace.
        between: Between the brace that ends one and the brace that begins the next.
        inside: Space inside a row.
        after: Behind the last one's brace.
        line_ends: Line ends between two rows as most write them.
    """

    before: str
    between: str
    inside: str
    after: str
    line_ends: int


LINES = Layout(before="", between=r"[ \t\r]*\n", inside=r"[ \t\r]*", after="", line_ends=1)
ARRAY = Layout(
    before=rf"{_SPACE}\[{_SPACE}",
    between=rf"{_SPACE},{_SPACE}",
    inside=_SPACE,
    after=rf"{_SPACE}\]{_SPACE}",
    line_ends=0,
)


def read_alike(text: bytes, layout: Layout, max_rows: int) -> pa.Table | None:
    """The rows of a body as columns of text.

    Args:
        text: The body.
        layout: Of its rows.
        max_rows: Most rows there are.

    Returns:
        None where rows are not alike, or have escapes, or are no rows: nothing is said of them then.
    """
    if b"\\" in text:
        return None
    characters = np.frombuffer(text, np.uint8)
    is_quote = characters == _QUOTE
    if np.count_nonzero(is_quote) > max_rows * QUOTES_WITH_STRING:
        return None
    quotes = np.flatnonzero(is_quote)
    first = _FirstRow.of(text, quotes, layout)
    if first is None or len(quotes) % first.quotes:
        return None
    pieces = _pieces(text, quotes)
    if pieces is None or not _are_like(first, pieces, layout):
        return None
    columns = {name: _every(pieces, place, first.quotes) for name, place in first.places.items()}
    # Where there are no more than the layout has, none is in a value.
    controls = np.count_nonzero(characters < _FIRST_PRINTABLE)
    usual = layout.line_ends * (len(quotes) // first.quotes - 1)
    if controls != usual and any(_has_control(texts) for texts in columns.values()):
        return None
    if first.number is not None:
        columns[NAMES[AMOUNT]] = pc.ascii_trim(_every(pieces, first.number, first.quotes), characters=_AROUND_NUMBERS)
    return pa.Table.from_arrays([columns[name] for name in NAMES], schema=AS_TEXT)


@dataclass(frozen=True, slots=True)
class _FirstRow:
    """Where things stand in a row.

    Args:
        quotes: Its quotes, which is also the number of its pieces: what a quote begins, and what it ends.
        places: Piece of each value in quotes.
        number: Piece that holds the amount, where that is a number.
    """

    quotes: int
    places: dict[str, int]
    number: int | None

    @classmethod
    def of(cls, text: bytes, quotes: npt.NDArray[np.int64], layout: Layout) -> _FirstRow | None:
        """None where the body does not begin with a row."""
        places: dict[str, int] = {}
        number = None
        at = 0
        for _ in NAMES:
            if at + 1 >= len(quotes):
                return None
            name = text[quotes[at] + 1 : quotes[at + 1]].decode("latin-1")
            after = text[quotes[at + 1] + 1 : quotes[at + 2] if at + 2 < len(quotes) else len(text)]
            if after.strip() == b":":
                places[name] = at + 2
                at += 4
            else:
                number = at + 1
                at += 2
        if at not in (QUOTES_WITH_NUMBER, QUOTES_WITH_STRING) or at > len(quotes):
            return None
        head = re.fullmatch(rf"{layout.before}(\{{{layout.inside})".encode(), text[: quotes[0]])
        row = text[head.start(1) : text.find(b"}", quotes[at - 1]) + 1] if head else b""
        is_split = layout is LINES and b"\n" in row
        return cls(at, places, number) if not is_split and read_quickly(row) is not None else None


def _pieces(text: bytes, quotes: npt.NDArray[np.int64]) -> Any | None:
    """What stands inside quotes, and in turn what stands between with its quotes; None where it is not UTF-8."""
    ends = np.append(quotes, len(text)).astype(np.int32)
    ends[: len(quotes) : 2] += 1
    pieces = pa.Array.from_buffers(TEXT, len(quotes), [None, pa.py_buffer(ends), pa.py_buffer(text)])
    try:
        if not text.isascii():
            pieces.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return pieces


def _are_like(first: _FirstRow, pieces: Any, layout: Layout) -> bool:
    """Whether all but the values of every row is as in the first."""
    width = first.quotes
    last = width - 1
    rows = len(pieces) // width
    value_places = {*first.places.values(), first.number, last}
    constant = [place for place in range(width) if place not in value_places]
    same = pc.equal(pieces.slice(width), pieces.slice(0, len(pieces) - width))
    if not same.to_numpy(zero_copy_only=False).reshape(rows - 1, width).all(axis=0)[constant].all():
        return False
    space = layout.inside
    number = rf"{space}:{space}{_NUMBER}"
    ends = number if first.number == last else ""
    between = rf'^"{ends}{space}\}}{layout.between}\{{{space}"$'
    if not _all_match(_every(pieces.slice(0, len(pieces) - 1), last, width), between):
        return False
    if not re.fullmatch(rf'"{ends}{space}\}}{layout.after}', pieces[-1].as_py()):
        return False
    if first.number in (None, last):
        return True
    return _all_match(_every(pieces, first.number, width), rf'^"{number}{space},{space}"$')


def _every(pieces: Any, place: int, width: int) -> Any:
    return pc.take(pieces, pa.array(np.arange(place, len(pieces), width)))


def _all_match(texts: Any, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(texts, pattern)).as_py() is not False


def _has_control(texts: Any) -> bool:
    """Whether a text has what JSON does not allow in one."""
    values = texts.buffers()[2]
    return values is not None and bool((np.frombuffer(values, np.uint8) < _FIRST_PRINTABLE).any())
