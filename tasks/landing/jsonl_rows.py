"""JSON lines as chunks of text rows: numbers keep their digits, never passing through a float.

Every declared column must be a key of every row (null is fine); strings stand for numbers as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import pyarrow as pa

from lake.table import TEXT, Table
from lake.text_types import not_a
from tasks.landing.chunk import Chunk, RefusedLine, column_rules, text_rows
from tasks.landing.text_lines import Readable, collector_paused, line_blocks

NOT_JSON = "not_json"
# Orders of keys remembered; files use one or two.
_MAX_KEY_ORDERS = 64
_LINE_ENDS = ("", "\n", "\r\n")
_JSON_SPACE = " \t\r\n"

# The keys of an object and their values.
Pair = tuple[tuple[str, ...], tuple[Any, ...]]


class _Constant:
    """NaN or Infinity, which JSON does not know but many writers emit."""

    def __init__(self, text: str) -> None:
        self.text = text


class JsonRows:
    """Reads JSON objects as rows of one table's payload."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.names = tuple(c.name for c in table.payload)
        self._orders: dict[tuple[str, ...], Callable[[Sequence[Any]], Sequence[Any]]] = {}
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._keys_and_values, parse_float=str, parse_int=str, parse_constant=_Constant
        )

    def _keys_and_values(self, pairs: list[tuple[str, Any]]) -> tuple[Any, ...]:
        if not pairs:
            return ()
        keys, values = zip(*pairs, strict=True)
        # Keys by the thousand are dropped at once when they are the usual ones.
        return (self.names, values) if keys == self.names else (keys, values)

    def keys_and_values(self, text: str) -> Pair | None:
        """Keys and values of an object, duplicates included; None when `text` is not one JSON object."""
        try:
            # `decode` also searches for space on both sides, which takes a third of its time.
            decoded, end = self._decoder.raw_decode(text)
            if text[end:] not in _LINE_ENDS:
                decoded = self._decoder.decode(text)
        except ValueError:
            return self._indented(text)
        except RecursionError:
            return None
        if type(decoded) is not tuple:
            return None
        return decoded if decoded else ((), ())

    def _indented(self, text: str) -> Pair | None:
        stripped = text.strip(_JSON_SPACE)
        return self.keys_and_values(stripped) if stripped.startswith("{") and stripped != text else None

    def row(self, keys: tuple[str, ...], values: tuple[Any, ...]) -> tuple[Sequence[Any], list[str] | None]:
        """Values in declared order, and the rules the keys broke."""
        reorder = self._orders.get(keys)
        if reorder is not None:
            return reorder(values), None
        rules = column_rules(self._table, keys)
        if not rules:
            reorder = itemgetter(*map(keys.index, self.names))
            if len(self._orders) < _MAX_KEY_ORDERS:
                self._orders[keys] = reorder
            return reorder(values), None
        given = dict(zip(keys, values, strict=True))
        absent = {f"missing_column:{name}": f"{name}_absent" for name in self.names}
        return [given.get(name) for name in self.names], [absent.get(rule, rule) for rule in rules]

    def chunk_rows(
        self, rows: Sequence[Sequence[Any]], lines: Sequence[int], broken: list[list[str] | None]
    ) -> pa.Table:
        """`Chunk.rows` of values as decoded; what is neither text nor a number adds to `broken`."""
        columns = list(zip(*rows, strict=True)) or [()] * len(self.names)
        arrays = [self._array(i, values, broken) for i, values in enumerate(columns)]
        known = broken if any(broken) else None
        return text_rows(self._table, arrays, pa.array(lines, pa.int64()), known)

    def _array(self, index: int, values: Sequence[Any], broken: list[list[str] | None]) -> pa.Array:
        try:
            return pa.array(values, TEXT)
        except (pa.ArrowException, UnicodeEncodeError, TypeError):
            rule = not_a(self._table.payload[index])
            kept = []
            for row, value in enumerate(values):
                storable = value is None or _is_text(value)
                kept.append(value if storable else None)
                if not storable:
                    broken[row] = [*(broken[row] or ()), rule]
            return pa.array(kept, TEXT)


def read_jsonl(source: Readable, table: Table, max_line_bytes: int) -> Iterator[Chunk]:
    """Rows of a JSON lines file, in chunks of bounded size; blank lines are no rows.

    Raises:
        FileRefusedError: See `line_blocks`.
    """
    reader = JsonRows(table)
    first = 1
    for lines in line_blocks(source, max_line_bytes):
        with collector_paused():
            chunk = _chunk(reader, lines, first)
        yield chunk
        first += len(lines)


def _chunk(reader: JsonRows, lines: list[str], first: int) -> Chunk:
    decoded = [reader.keys_and_values(line) for line in lines]
    as_declared = [pair[1] for pair in decoded if pair is not None and pair[0] is reader.names]
    if len(as_declared) == len(lines):
        numbers = range(first, first + len(lines))
        return Chunk(reader.chunk_rows(as_declared, numbers, [None] * len(lines)), lines)
    return _mixed_chunk(reader, lines, decoded, first)


def _mixed_chunk(reader: JsonRows, lines: list[str], decoded: list[Pair | None], first: int) -> Chunk:
    rows: list[Sequence[Any]] = []
    numbers: list[int] = []
    broken: list[list[str] | None] = []
    payloads: list[str] = []
    refused: list[RefusedLine] = []
    for number, (line, pair) in enumerate(zip(lines, decoded, strict=True), first):
        if pair is not None:
            row, rules = reader.row(*pair)
            rows.append(row)
            numbers.append(number)
            broken.append(rules)
            payloads.append(line)
        elif line.strip():
            refused.append(RefusedLine(number, (NOT_JSON,), line.rstrip("\r\n")))
    return Chunk(reader.chunk_rows(rows, numbers, broken), payloads, tuple(refused))


def _is_text(value: object) -> bool:
    """Whether a value is text without halves of surrogate pairs, which UTF-8 cannot hold."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False
