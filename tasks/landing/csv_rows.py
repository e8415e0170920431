"""CSV (RFC 4180, comma, UTF-8, header) as chunks of text rows with physical line numbers.

An empty field is NULL, quoted or not. Blank lines are no rows. After a line whose quotes do not add up,
reading resumes at the next line, so that one stray quote cannot swallow the rows behind it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from lake.table import TEXT, Table
from tasks.landing.chunk import Chunk, FileRefusedError, RefusedLine, column_rules, text_rows
from tasks.landing.text_lines import BLOCK_BYTES, Readable, collector_paused, line_blocks

NOT_CSV = "not_csv"
WRONG_WIDTH = "wrong_number_of_fields"
_OTHER_DELIMITERS = {";": "semicolon", "\t": "tab", "|": "pipe"}


def read_csv(source: Readable, table: Table, max_line_bytes: int) -> Iterator[Chunk]:
    """Rows of a CSV file, in chunks of bounded size.

    Raises:
        FileRefusedError: The header is not exactly the declared columns in any order, or see `line_blocks`.
    """
    # The limit is the process's; ours is stricter, per column, and told by rule (strict_types.py).
    csv.field_size_limit(max(csv.field_size_limit(), max_line_bytes + BLOCK_BYTES))
    blocks = line_blocks(source, max_line_bytes)
    lines = next(blocks)
    header = _header(lines[0], table)
    parser = _Parser(table, header, max_line_bytes)
    yield parser.parse(lines[1:])
    for lines in blocks:
        yield parser.parse(lines)
    yield parser.parse([], last=True)


def _header(line: str, table: Table) -> list[str]:
    try:
        names = next(csv.reader([line], strict=True))
    except csv.Error:
        raise FileRefusedError(NOT_CSV) from None
    rules = column_rules(table, names)
    if rules:
        expected = {c.name for c in table.payload}
        likely = [
            f"wrong_delimiter:{word}"
            for mark, word in _OTHER_DELIMITERS.items()
            if len(names) == 1 and mark in line and expected & {n.strip('"\r\n') for n in line.split(mark)}
        ]
        raise FileRefusedError(*likely, *rules)
    return names


@dataclass(slots=True)
class _Parser:
    """Turns blocks of lines into chunks; keeps the lines of a record that a block cuts in two."""

    table: Table
    header: list[str]
    max_record_bytes: int
    next_line: int = 2
    rest: list[str] = field(default_factory=list)

    def parse(self, block: list[str], *, last: bool = False) -> Chunk:
        with collector_paused():
            return self._parse(block, last)

    def _parse(self, block: list[str], last: bool) -> Chunk:
        overdue = sum(map(len, self.rest)) > self.max_record_bytes
        lines, first = [*self.rest, *block], self.next_line
        rows = _simple(lines, len(self.header))
        refused: list[RefusedLine] = []
        numbers: Sequence[int] = range(first, first + len(lines))
        self.rest, self.next_line = [], first + len(lines)
        if rows is None:
            rows, numbers = [], []
            for begin, end, row in _records(lines, last=last, overdue=overdue):
                if row is None and end is None:
                    self.rest, self.next_line = lines[begin:], first + begin
                elif row and len(row) == len(self.header):
                    rows.append(row)
                    numbers.append(first + begin)
                elif row is None or row:
                    text = "".join(lines[begin:end]).rstrip("\r\n")
                    refused.append(RefusedLine(first + begin, (WRONG_WIDTH if row else NOT_CSV,), text))
        return Chunk(self._columns(rows, numbers), refused=tuple(refused))

    def _columns(self, rows: list[list[str]], numbers: Sequence[int]) -> pa.Table:
        fields = list(zip(*rows, strict=True)) or [()] * len(self.header)
        ordered = [fields[self.header.index(c.name)] for c in self.table.payload]
        columns = [_empty_as_null(pa.array(column, TEXT)) for column in ordered]
        return text_rows(self.table, columns, pa.array(numbers, pa.int64()))


def _empty_as_null(values: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, TEXT), values)


def _simple(lines: list[str], width: int) -> list[list[str]] | None:
    """Rows of a block in which every line is one row of the right width; None when any is not."""
    try:
        rows = list(csv.reader(lines, strict=True))
    except csv.Error:
        return None
    return rows if len(rows) == len(lines) and {*map(len, rows)} <= {width} else None


def _records(lines: list[str], *, last: bool, overdue: bool) -> Iterator[tuple[int, int | None, list[str] | None]]:
    """Begin, end and fields of every record.

    Fields are None for a line that is not CSV; end is None as well for a record that the next block may complete.

    Args:
        lines: Lines with their ends.
        last: No lines follow.
        overdue: The record at the start has grown past its limit and is given up.
    """
    start = 0
    while start < len(lines):
        reader = csv.reader(map(lines.__getitem__, range(start, len(lines))), strict=True)
        done = 0
        try:
            for row in reader:
                yield start + done, start + reader.line_num, row
                done = reader.line_num
            return
        except csv.Error:
            begin = start + done
            may_complete = start + reader.line_num == len(lines) and not last
            if may_complete and not (overdue and begin == 0):
                yield begin, None, None
                return
            yield begin, begin + 1, None
            start = begin + 1
