"""Batches in JSON: positions, neighbours of bad rows, repeats, and bodies made to hurt."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.problems import Problem
from api.rows import Batch, read_batch, read_row
from api.rows.rules import TYPED
from api.rows.validation import as_text_table, check

GOOD: dict[str, Any] = {
    "transaction_id": "t-0",
    "account_id": "a-1",
    "merchant_id": "m-1",
    "category": "grocery",
    "occurred_at": "2026-01-31T09:30:00Z",
    "amount": "12.30",
    "currency": "EUR",
    "channel": "online",
}
ARRAY, LINES = "application/json", "application/x-ndjson"
MANY = 100_000


def row(index: int, **changed: Any) -> dict[str, Any]:
    return {**GOOD, "transaction_id": f"t-{index}", **changed}


def as_lines(rows: list[str]) -> bytes:
    return "\n".join(rows).encode("utf-8", "surrogatepass")


def as_array(rows: list[str]) -> bytes:
    return ("[" + ", ".join(rows) + "]").encode("utf-8", "surrogatepass")


def problem(content_type: str, body: bytes, max_rows: int = MANY) -> Problem:
    with pytest.raises(Problem) as caught:
        read_batch(content_type, body, max_rows=max_rows)
    return caught.value


def lines(*rows: str | bytes, max_rows: int = MANY) -> Batch:
    body = b"\n".join(r.encode() if isinstance(r, str) else r for r in rows)
    return read_batch(LINES, body, max_rows=max_rows)


def ids(batch: Batch) -> list[str]:
    found: list[str] = batch.rows.column("transaction_id").to_pylist()
    return found


def rules(batch: Batch) -> list[tuple[int, list[str]]]:
    return [(r.index, [e.rule for e in r.errors]) for r in batch.refused]


def balances(batch: Batch) -> bool:
    found = [*batch.indexes.tolist(), *(r.index for r in batch.refused), *(i for i, _ in batch.duplicates)]
    return sorted(found) == list(range(batch.received)) and batch.rows.num_rows == len(batch.indexes)


_changes = st.fixed_dictionaries(
    {},
    optional={
        "transaction_id": st.sampled_from(["t-0", "t-1", "", "é\\\"'", "{", 1, None]),
        "category": st.text(max_size=3),
        "amount": st.sampled_from([1, 1.5, "1.50", "-1", 0, -0.0, None, [1], {"amount": "1"}, "x", 10**30]),
        "currency": st.sampled_from(["EUR", "eur", "E", 5]),
        "occurred_at": st.sampled_from(["2026-01-01T00:00Z", "2026-01-01", "", None]),
        "more": st.just(1),
    },
)


def _written_row(index: int, changed: dict[str, Any], ascii_only: bool, doubled: bool) -> str:
    text = json.dumps(row(index, **changed), ensure_ascii=ascii_only)
    return text[:-1] + ',"amount":1}' if doubled else text


_written = st.builds(_written_row, st.integers(0, 3), _changes, st.booleans(), st.sampled_from([False, False, True]))


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(_written, min_size=1, max_size=8))
def test_a_batch_holds_what_its_rows_say_one_by_one(rows: list[str]) -> None:
    expected: dict[str, tuple[str, ...]] = {}
    kept, errors, duplicates = [], {}, []
    first: dict[str, int] = {}
    for index, text in enumerate(rows):
        try:
            texts = read_row(text.encode("utf-8", "surrogatepass"))
        except Problem as refused:
            errors[index] = [(e.pointer.replace("#", f"#/{index}", 1), e.rule) for e in refused.errors]
            continue
        checked = check(as_text_table([texts]))
        if checked.refused:
            errors[index] = [(e.pointer.replace("#", f"#/{index}", 1), e.rule) for e in checked.refused[0][1]]
        elif texts[0] not in first:
            first[texts[0]] = index
            kept.append(index)
            expected[texts[0]] = checked.rows.to_pylist()[0]
        elif expected[texts[0]] == checked.rows.to_pylist()[0]:
            duplicates.append((index, first[texts[0]]))
        else:
            errors[index] = [(f"#/{index}/transaction_id", "transaction_id_conflict")]
    for content_type, body in ((LINES, as_lines(rows)), (ARRAY, as_array(rows))):
        batch = read_batch(content_type, body, max_rows=MANY)
        assert balances(batch)
        assert batch.rows.schema == TYPED
        assert batch.rows.to_pylist() == list(expected.values())
        assert batch.indexes.tolist() == kept
        assert {r.index: [(e.pointer, e.rule) for e in r.errors] for r in batch.refused} == errors
        assert list(batch.duplicates) == duplicates
        assert [r.payload for r in batch.refused] == [rows[r.index] for r in batch.refused]


def test_a_bad_line_spoils_no_other() -> None:
    good = [json.dumps(row(i)) for i in range(3)]
    batch = lines(good[0], "not json", good[1], b'{"a": "\xff\x00"}', good[2])
    assert ids(batch) == ["t-0", "t-1", "t-2"]
    assert batch.indexes.tolist() == [0, 2, 4]
    assert rules(batch) == [(1, ["not_json"]), (3, ["not_utf8"])]
    assert [r.payload for r in batch.refused] == ["not json", '{"a": "�\\0"}']
    assert batch.refused[0].errors[0].pointer == "#/1"


def test_empty_lines_end_a_batch_but_do_not_part_it() -> None:
    text = json.dumps(row(0))
    assert ids(lines(text, "", " ", "\r")) == ["t-0"]
    batch = lines(text, "", json.dumps(row(1)), "")
    assert (ids(batch), batch.received, rules(batch)) == (["t-0", "t-1"], 3, [(1, ["not_json"])])


def test_lines_may_end_with_carriage_returns() -> None:
    batch = lines(*(json.dumps(row(i)) + "\r" for i in range(3)))
    assert (ids(batch), batch.refused) == (["t-0", "t-1", "t-2"], ())


@pytest.mark.parametrize(
    "body",
    [
        f"{json.dumps(row(0))} {json.dumps(row(1))}\n{json.dumps(row(2))}",
        f"{json.dumps(row(0), indent=1)}\n{json.dumps(row(2))}",
        f"{json.dumps(row(0))[:-1]}\n}} {json.dumps(row(1))}\n{json.dumps(row(2))}",
    ],
)
def test_a_row_has_a_line_of_its_own(body: str) -> None:
    batch = read_batch(LINES, body.encode(), max_rows=MANY)
    assert ids(batch) == ["t-2"]
    assert batch.received == body.count("\n") + 1
    assert all(found == ["not_json"] for _, found in rules(batch))


def test_repeats_inside_a_batch() -> None:
    same, other = json.dumps(row(0, amount=12.3)), json.dumps(row(0, amount="12.31"))
    batch = lines(json.dumps(row(1)), json.dumps(row(0)), same, other, same, json.dumps(row(0, amount="x")))
    assert ids(batch) == ["t-1", "t-0"]
    assert batch.indexes.tolist() == [0, 1]
    assert batch.duplicates == ((2, 1), (4, 1))
    assert rules(batch) == [(3, ["transaction_id_conflict"]), (5, ["amount_not_a_decimal"])]
    assert batch.refused[0].payload == other


@pytest.mark.parametrize("doubled", ['"amount":1', '"channel":"online"', '"\\u0063hannel":"online"'])
def test_doubled_keys_are_seen_in_batches(doubled: str) -> None:
    texts = [json.dumps(row(0)), json.dumps(row(1))[:-1] + f", {doubled}}}", json.dumps(row(2, amount=1))]
    for content_type, body in ((LINES, as_lines(texts)), (ARRAY, as_array(texts))):
        batch = read_batch(content_type, body, max_rows=MANY)
        assert (ids(batch), rules(batch)) == (["t-0", "t-2"], [(1, ["duplicate_field"])])


def test_amounts_of_all_writings_stand_in_one_column() -> None:
    literals = ["1", "1.50", '"1.5"', "-0", "0", '"+.5"', "12345678.90"]
    texts = [json.dumps(row(i)).replace('"12.30"', literal) for i, literal in enumerate(literals)]
    for content_type, body in ((LINES, as_lines(texts)), (ARRAY, as_array(texts))):
        batch = read_batch(content_type, body, max_rows=MANY)
        expected = [Decimal(literal.strip('"')) for literal in literals]
        assert batch.rows.column("amount").to_pylist() == expected


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (LINES, b"", 422),
        (LINES, b" \n\n", 422),
        (ARRAY, b"[]", 422),
        (ARRAY, b"", 400),
        (ARRAY, b"[", 400),
        (ARRAY, b"[1,]", 400),
        (ARRAY, b"\xef\xbb\xbf[]", 400),
        (ARRAY, json.dumps(row(0)).encode(), 422),
        (ARRAY, b"[" * 1_000_000, 422),
        (ARRAY, b"[[" + b"0," * 5_000_000, 413),
        (ARRAY, b"[" + b"{}," * 200_000 + b"{}]", 413),
        (LINES, b"1\n" * 200_000, 413),
        ("text/csv", b"a,b", 415),
        ("application/json; charset=utf-16", b"[]", 415),
        ("", b"[]", 415),
    ],
)
def test_bodies_that_are_no_batch(content_type: str, body: bytes, status: int) -> None:
    found = problem(content_type, body)
    assert found.status == status
    assert found.detail


def test_content_types_may_be_written_as_people_do() -> None:
    text = json.dumps([row(0)]).encode()
    assert ids(read_batch("Application/JSON; charset=UTF-8", text, max_rows=1)) == ["t-0"]


def test_the_row_limit_holds_for_both_formats() -> None:
    texts = [json.dumps(row(i, category="{,{")) for i in range(3)]
    for content_type, body in ((LINES, as_lines(texts)), (ARRAY, as_array(texts))):
        assert ids(read_batch(content_type, body, max_rows=3)) == ["t-0", "t-1", "t-2"]
        assert problem(content_type, body, max_rows=2).status == 413


@pytest.mark.parametrize(
    "bad",
    [
        '{"a":' * 100_000,
        "[" * 100_000,
        json.dumps(row(1)).replace('"12.30"', "[" * 50_000 + "]" * 50_000),
        json.dumps(row(1)).replace('"12.30"', "[" + "{}," * 1_000_000 + "0]"),
        json.dumps(row(1)).replace('"12.30"', "1e400"),
        json.dumps(row(1)).replace('"12.30"', "9" * 1_000_000),
        json.dumps(row(1)).replace('"12.30"', "0." + "1" * 30),
        json.dumps(row(1)).replace('"12.30"', "NaN"),
        json.dumps(row(1)).replace("grocery", "\\ud800"),
        json.dumps(row(1)).replace("grocery", "\\u0000"),
        json.dumps(row(1)).replace("grocery", "x" * 10_000_000),
        json.dumps(row(1)).replace("2026-", "99999-"),
    ],
)
def test_one_hostile_row_is_refused_quickly_and_alone(bad: str) -> None:
    started = time.monotonic()
    batch = lines(json.dumps(row(0)), bad, json.dumps(row(2)))
    assert (ids(batch), [r.index for r in batch.refused]) == (["t-0", "t-2"], [1])
    assert time.monotonic() - started < 2


def test_many_bad_rows_cost_no_more_than_they_must() -> None:
    bad = [json.dumps({f"k{i}-{j}": j for j in range(30)}) for i in range(20_000)]
    started = time.monotonic()
    batch = read_batch(ARRAY, as_array(bad), max_rows=MANY)
    assert len(batch.refused) == len(bad)
    assert max(len(r.errors) for r in batch.refused[200:]) <= len(TYPED) + 2
    assert time.monotonic() - started < 8
