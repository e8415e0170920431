"""One row in JSON: the quick reading against the slow one, and every mistake by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.problems import Problem
from api.rows.row import examine, read_row
from api.rows.rules import FIELD_RULES, NAMES, ROW_RULES

GOOD: dict[str, Any] = {
    "transaction_id": "t-1",
    "account_id": "a-1",
    "merchant_id": "m-1",
    "category": "grocery",
    "occurred_at": "2026-01-31T09:30:00Z",
    "amount": "12.30",
    "currency": "EUR",
    "channel": "online",
}
TEXTS = tuple(GOOD.values())
BODY = json.dumps(GOOD).encode()


def with_amount(literal: str) -> bytes:
    return BODY.replace(b'"12.30"', literal.encode())


def refused(body: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        read_row(body)
    problem = caught.value
    assert problem.errors
    assert all(len(e.pointer) <= 256 and e.pointer.startswith("#") and e.detail for e in problem.errors)
    known = {f"{name}_{key}" for name in NAMES for key in FIELD_RULES} | set(ROW_RULES)
    assert {e.rule for e in problem.errors} <= known
    assert json.loads(problem.body("/x"))["status"] == problem.status
    return problem


def rules(body: bytes) -> list[tuple[str, str]]:
    problem = refused(body)
    assert problem.status == 422
    return [(e.pointer, e.rule) for e in problem.errors]


_names = st.sampled_from([*NAMES, *NAMES, "amonut", "", "x/y~z", "id"])
_leaf = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["1.50", "\ud800", "\0", "{", '"', "\\", '\\"', "\\\\"])
)
_value = st.recursive(_leaf, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner, max_size=2))
_pair = st.tuples(_names, _value)


def as_object(pairs: list[tuple[str, Any]], ascii_only: bool) -> bytes:
    def encode(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only)

    text = "{" + ", ".join(f"{encode(name)}: {encode(value)}" for name, value in pairs) + "}"
    return text.encode("utf-8", "surrogatepass")


_objects = st.builds(
    lambda changed, added, order, ascii_only: as_object(
        order.sample([*{**GOOD, **dict(changed)}.items(), *added], len({**GOOD, **dict(changed)}) + len(added)),
        ascii_only,
    ),
    st.lists(_pair, max_size=1),
    st.lists(_pair, max_size=2),
    st.randoms(use_true_random=False),
    st.booleans(),
)
_mutated = st.builds(
    lambda body, at, length, put: body[: at % (len(body) + 1)] + put + body[at % (len(body) + 1) + length :],
    st.sampled_from([BODY, with_amount("12.30")]) | _objects,
    st.integers(0, 10_000),
    st.integers(0, 3),
    st.binary(max_size=2) | st.sampled_from([b'"', b"\\", b'"a":1,', b"\\u00e9", b"\\ud83d", b"\xef\xbb\xbf", b"\n"]),
)


@settings(max_examples=800, deadline=None)
@given(body=_objects | _mutated)
@example(body=BODY)
@example(body=with_amount('1, "amount": 1.5'))
@example(body=with_amount('"1", "amount": 1'))
@example(body=with_amount('[{"amount": "1"}], "amount": 2'))
@example(body=with_amount('1, "\\u0061mount": "2"'))
def test_both_readings_agree_and_a_refusal_has_a_reason(body: bytes) -> None:
    examined = examine(body)
    assert (examined.texts is None) == bool(examined.wrong or examined.strange)
    if examined.texts is None:
        refused(body)
    else:
        assert read_row(body) == examined.texts
        assert json.loads(body, parse_float=str, parse_int=str) == dict(zip(NAMES, examined.texts, strict=True))


@pytest.mark.parametrize("literal", ["12.30", "0.10", "1e400", "-0", "0", "12345678901234567890.123456789", "9" * 5000])
def test_a_number_keeps_its_digits(literal: str) -> None:
    assert read_row(with_amount(literal))[5] == literal
    assert read_row(with_amount(f'"{literal}"'))[5] == literal


def test_order_and_space_do_not_matter() -> None:
    assert read_row(json.dumps(dict(reversed(GOOD.items())), indent=2).encode() + b"\r\n") == TEXTS


def test_escapes_are_text() -> None:
    assert read_row(BODY.replace(b"grocery", b"caf\\u00e9 \\ud83d\\ude00\\n\\\\"))[3] == "café 😀\n\\"


def test_every_mistake_is_told_at_once() -> None:
    wrong = {
        **GOOD,
        "account_id": 7,
        "merchant_id": None,
        "occurred_at": "2026-02-30T00:00:00Z",
        "amount": [1],
        "chanel": 1,
    }
    del wrong["category"], wrong["channel"]
    assert rules(json.dumps(wrong).encode()) == [
        ("#/account_id", "account_id_not_text"),
        ("#/merchant_id", "merchant_id_missing"),
        ("#/category", "category_missing"),
        ("#/occurred_at", "occurred_at_not_a_timestamp"),
        ("#/amount", "amount_not_a_decimal"),
        ("#/channel", "channel_missing"),
        ("#/chanel", "unknown_field"),
    ]


def test_an_unknown_field_names_a_near_one() -> None:
    problem = refused(BODY.replace(b'"channel"', b'"chanel"'))
    assert "near: channel" in problem.errors[-1].detail


@pytest.mark.parametrize("doubled", ['"amount": 1', '"amount": "12.30"', '"channel": {}', '"\\u0063hannel": "online"'])
def test_doubled_keys_are_refused(doubled: str) -> None:
    first = BODY[:-1] + b", " + doubled.encode() + b"}"
    last = b"{" + doubled.encode() + b", " + BODY[1:]
    for body in (first, last):
        assert "duplicate_field" in {rule for _, rule in rules(body)}


@pytest.mark.parametrize("value", ["true", "false", "{}", "[]", '{"a": 1}'])
def test_values_of_other_kinds_are_refused(value: str) -> None:
    assert rules(with_amount(value)) == [("#/amount", "amount_not_a_decimal")]
    assert rules(BODY.replace(b'"EUR"', value.encode())) == [("#/currency", "currency_not_text")]


def test_half_a_surrogate_pair_is_no_text() -> None:
    assert rules(BODY.replace(b"grocery", b"\\ud800")) == [("#/category", "category_not_text")]
    assert rules(BODY.replace(b'"grocery"', b'"x", "\\udfff": 1'))[0][1] == "unknown_field"


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"not json", "not_json"),
        (BODY + b"x", "not_json"),
        (BODY + BODY, "not_json"),
        (BODY[:-1], "not_json"),
        (b"\xef\xbb\xbf" + BODY, "not_json"),
        (BODY.replace(b"grocery", b"\xff"), "not_utf8"),
        (BODY.replace(b"grocery", b"\xed\xa0\x80"), "not_utf8"),
        (BODY.decode().encode("utf-16"), "not_utf8"),
        (BODY.replace(b"grocery", b"a\nb"), "not_json"),
        (with_amount("NaN"), "not_json"),
        (with_amount("-Infinity"), "not_json"),
        (with_amount("01"), "not_json"),
        (with_amount(".5"), "not_json"),
    ],
)
def test_what_is_not_json_is_a_400(body: bytes, rule: str) -> None:
    problem = refused(body)
    assert (problem.status, [e.rule for e in problem.errors]) == (400, [rule])


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"x"', b"[" + BODY + b"]"])
def test_what_is_no_object_is_told_so(body: bytes) -> None:
    assert rules(body) == [("#", "not_an_object")]


@pytest.mark.parametrize(
    "inside", ["[" * 30_000, '{"a":' * 10_000, "[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000]
)
def test_deep_nesting_ends_as_an_error(inside: str) -> None:
    for body in (with_amount(inside), inside.encode()):
        assert {e.rule for e in refused(body).errors} <= {"nested_too_deep", "not_json", "row_too_long"}


def test_thousands_of_unknown_fields_make_a_short_answer() -> None:
    body = BODY[:-1] + b"".join(b', "%d": 1' % i for i in range(5_000)) + b"}"
    problem = refused(body)
    assert len(problem.errors) == 21
    assert problem.errors[-1].detail == "4980 more fields like these."


def test_huge_names_and_values_stay_out_of_the_answer() -> None:
    huge = b"x" * 10_000_000
    assert len(refused(BODY[:-1] + b', "' + huge + b'": 1}').body()) < 2_000
    assert read_row(BODY.replace(b"grocery", huge))[3] == huge.decode()
