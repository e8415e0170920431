"""Rows read as columns are what the careful reading of each says, whatever is done to the body."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.rows.row import examine
from api.rows.rows_alike import ARRAY, LINES, Layout, read_alike
from api.rows.rules import NAMES

VALUES = ("t-1", "acc", "mer", "grocery", "2026-01-31T09:30:00Z", "12.30", "EUR", "online")
MANY = 1_000
PLAIN = st.text(st.characters(exclude_characters='"\\', exclude_categories=("Cs", "Cc")), max_size=6)
PUT = [b"", b'"', b"\\", b",", b"{", b"}", b"\n", b" ", b"\0", b"x", b"1", b"\xff", b"]"]
NUMBERS = st.sampled_from(["0", "-1", "12.30", "1e5", "1E-7", "9999999999.99", "0.001", "123456789012345678901"])


def written(values: tuple[str, ...], order: list[int], *, as_number: bool, parts: tuple[str, str]) -> str:
    comma, colon = parts
    fields = [
        f'"{NAMES[i]}"{colon}' + (values[i] if as_number and NAMES[i] == "amount" else f'"{values[i]}"') for i in order
    ]
    return "{" + comma.join(fields) + "}"


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, Layout]:
    as_number = draw(st.booleans())
    rows = draw(st.lists(st.tuples(*[NUMBERS if n == "amount" else PLAIN for n in NAMES]), min_size=1, max_size=5))
    order = draw(st.permutations(range(len(NAMES))))
    parts = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :  ")]))
    texts = [written(row, order, as_number=as_number, parts=parts) for row in rows]
    if draw(st.booleans()):
        return draw(st.sampled_from(["\n", "\r\n", "  \n"])).join(texts).encode(), LINES
    between = draw(st.sampled_from([",", ", ", ",\n  ", "\n,"]))
    return f"[{between.join(texts)}]".encode(), ARRAY


def one_by_one(body: bytes, layout: Layout) -> list[tuple[str, ...] | None]:
    rows = body.split(b"\n") if layout is LINES else msgspec.json.decode(body, type=list[msgspec.Raw])
    return [examine(bytes(row)).texts for row in rows]


def as_rows(table: Any) -> list[tuple[str, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@given(bodies())
def test_rows_that_one_program_wrote_are_read_as_columns(given_body: tuple[bytes, Layout]) -> None:
    body, layout = given_body
    table = read_alike(body, layout, MANY)
    assert table is not None
    table.validate(full=True)
    assert as_rows(table) == one_by_one(body, layout)


@settings(max_examples=1_000)
@given(bodies(), st.data())
def test_a_body_with_a_byte_changed_is_read_as_one_by_one_or_left_alone(
    given_body: tuple[bytes, Layout], data: st.DataObject
) -> None:
    body, layout = given_body
    place = data.draw(st.integers(0, len(body) - 1))
    kept = data.draw(st.integers(0, 1))
    put = data.draw(st.sampled_from(PUT))
    changed = body[:place] + put + body[place + kept :]
    changed = changed.rstrip(b" \t\r\n") if layout is LINES else changed
    table = read_alike(changed, layout, MANY)
    if table is not None:
        table.validate(full=True)
        assert as_rows(table) == one_by_one(changed, layout)


def lines_of(*rows: str) -> bytes:
    return "\n".join(rows).encode()


USUAL = json.dumps(dict(zip(NAMES, VALUES, strict=True)))
NUMBER = USUAL.replace('"12.30"', "12.30")


@pytest.mark.parametrize(
    "other",
    [
        USUAL.replace("acc", "a\\u0063c"),
        USUAL.replace("acc", "a\tc"),
        USUAL.replace('"account_id": "acc", ', ""),
        USUAL.replace("account_id", "transaction_id"),
        USUAL.replace("account_id", "accountXid"),
        USUAL.replace('"EUR"', "null"),
        USUAL.replace('"EUR"', '["EUR"]'),
        USUAL.replace("}", ', "more": "1"}'),
        USUAL.replace("}", "} {}"),
        USUAL.replace(": ", ":"),
        USUAL + USUAL,
        NUMBER,
        NUMBER.replace("12.30", "12.30.1"),
        NUMBER.replace("12.30", "012"),
        NUMBER.replace("12.30", "NaN"),
        NUMBER.replace("12.30", "1,2"),
        NUMBER.replace("12.30", ""),
        "",
        "[]",
    ],
)
def test_what_is_laid_out_otherwise_is_left_alone(other: str) -> None:
    usual = NUMBER if "12.30" not in other and '"12' not in other and "online" in other else USUAL
    assert read_alike(lines_of(usual, usual), LINES, MANY) is not None
    for rows in ((usual, other), (usual, other, usual), (other, usual)):
        assert read_alike(lines_of(*rows), LINES, MANY) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"[", b"{}", b'"', b'""', b"{" * 100, b'{"transaction_id":"1"}', b"null"])
def test_bodies_without_a_row_are_left_alone(body: bytes) -> None:
    assert read_alike(body, LINES, MANY) is None
    assert read_alike(body, ARRAY, MANY) is None


def test_a_body_of_quotes_alone_is_left_alone_before_it_takes_memory() -> None:
    assert read_alike(b'"' * 1_000_000, ARRAY, MANY) is None


@example("\u00e9\u4e2d\U0001f600")
@given(PLAIN)
def test_texts_beyond_ascii_are_whole(text: str) -> None:
    table = read_alike(lines_of(USUAL.replace('"acc"', f'"{text}"'), USUAL), LINES, MANY)
    assert table is not None
    assert table["account_id"].to_pylist() == [text, "acc"]
