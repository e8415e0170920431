"""Problem details: the document, the headers, and pointers that stay short and whole."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import problems
from api.problems import MAX_POINTER_CHARS, PROBLEMS, FieldError, Problem, pointer


def resolve(written: str) -> list[str]:
    """The names of a pointer, read as RFC 6901 says."""
    assert written.startswith("#")
    parts = unquote(written[1:], errors="strict").split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


@given(name=st.text(st.characters(exclude_categories=["Cs"]), max_size=20), index=st.integers(0, 10**6))
def test_a_pointer_leads_back_to_its_name(name: str, index: int) -> None:
    written = pointer(index, name)
    assert written.isascii()
    assert resolve(written) == [str(index), name]


@given(name=st.text(min_size=1).map(lambda text: text * 300), index=st.integers(0, 10**6))
def test_a_long_pointer_is_cut_between_characters(name: str, index: int) -> None:
    written = pointer(index, name)
    assert len(written) <= MAX_POINTER_CHARS
    first, cut = resolve(written)
    assert first == str(index)
    storable = name.encode("utf-8", "backslashreplace").decode()
    assert cut.endswith("…")
    assert storable.startswith(cut.removesuffix("…"))


def test_the_document_has_the_members_of_rfc_9457() -> None:
    error = FieldError("#/amount", "amount_missing", "amount is needed.")
    problem = problems.unprocessable("The row breaks a rule.", [error], extra={"received": 1, "status": "lost"})
    assert json.loads(problem.body("/requests/7")) == {
        "type": "/problems/unprocessable",
        "title": PROBLEMS["unprocessable"].title,
        "status": 422,
        "detail": "The row breaks a rule.",
        "instance": "/requests/7",
        "errors": [{"pointer": "#/amount", "rule": "amount_missing", "detail": "amount is needed."}],
        "received": 1,
    }
    assert "instance" not in json.loads(problem.body())


@pytest.mark.parametrize(
    ("problem", "status", "header"),
    [
        (problems.malformed("x"), 400, None),
        (problems.unauthorized("x"), 401, ("WWW-Authenticate", 'Bearer realm="lakehouse"')),
        (problems.forbidden("x"), 403, None),
        (problems.not_found("x"), 404, None),
        (problems.timeout("x"), 408, ("Connection", "close")),
        (problems.conflict("x"), 409, None),
        (problems.too_large("x"), 413, None),
        (problems.unsupported("x"), 415, None),
        (problems.unprocessable("x"), 422, None),
        (problems.too_many("x", 0.2), 429, ("Retry-After", "1")),
        (problems.unavailable("x", 2.1), 503, ("Retry-After", "3")),
    ],
)
def test_each_kind_has_its_status_and_headers(problem: Problem, status: int, header: tuple[str, str] | None) -> None:
    assert problem.status == status == PROBLEMS[problem.slug].status
    assert list(problem.headers.items()) == ([header] if header else [])
