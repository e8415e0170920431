"""Bodies as they come over the wire: whole, in pieces, compressed, cut short, or made to burst."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.problems import Problem
from api.rows.body import ClientGone, read_body

LIMIT = 100_000


def read(chunks: Sequence[bytes], *headers: tuple[str, str], limit: int = LIMIT, gone: bool = False) -> bytes:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if gone:
        messages.append({"type": "http.disconnect"})
    else:
        messages[-1]["more_body"] = False
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left)

    return asyncio.run(read_body(receive, [(n.encode(), v.encode()) for n, v in headers], limit))


def refused(chunks: Sequence[bytes], *headers: tuple[str, str], limit: int = LIMIT) -> int:
    with pytest.raises(Problem) as caught:
        read(chunks, *headers, limit=limit)
    assert caught.value.detail
    return caught.value.status


def status(chunks: Sequence[bytes], *headers: tuple[str, str]) -> int:
    try:
        read(chunks, *headers)
    except Problem as problem:
        return problem.status
    return 200


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[i : i + size] for i in range(0, len(body), size)] or [b""]


def compressed(coding: str, body: bytes) -> bytes:
    return gzip.compress(body, 6) if coding == "gzip" else zstandard.ZstdCompressor().compress(body)


CODED = pytest.mark.parametrize("coding", ["gzip", "zstd"])


def test_a_body_is_what_was_sent() -> None:
    assert read([b"abc"]) == b"abc"
    assert read([b"a", b"", b"bc"]) == b"abc"
    assert read([b""]) == b""
    assert read([b"abc"], ("content-encoding", "identity"), ("content-length", "3")) == b"abc"


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.binary(max_size=300).map(lambda b: b * 20), min_size=1, max_size=4),
    size=st.integers(1, 3_000),
    coding=st.sampled_from(["gzip", "zstd"]),
)
@example(parts=[b""], size=1, coding="zstd")
@example(parts=[b"", b"", b"x"], size=1, coding="gzip")
def test_decompressed_in_any_pieces_and_parts(parts: list[bytes], size: int, coding: str) -> None:
    sent = b"".join(compressed(coding, part) for part in parts)
    assert read(pieces(sent, size), ("content-encoding", coding)) == b"".join(parts)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(1, 10_000), size=st.integers(1, 3_000), coding=st.sampled_from(["gzip", "zstd"]))
def test_a_body_cut_short_is_refused(cut: int, size: int, coding: str) -> None:
    sent = compressed(coding, bytes(range(256)) * 4)
    assert refused(pieces(sent[: -(cut % len(sent)) or -1], size), ("content-encoding", coding)) == 400


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 10_000), put=st.binary(min_size=1, max_size=3), coding=st.sampled_from(["gzip", "zstd"]))
def test_damage_ends_as_a_problem_or_as_bytes(at: int, put: bytes, coding: str) -> None:
    sent = compressed(coding, bytes(range(256)) * 4)
    at %= len(sent)
    assert status([sent[:at] + put + sent[at + len(put) :]], ("content-encoding", coding)) in (200, 400, 413)


@CODED
def test_nothing_may_follow(coding: str) -> None:
    assert refused([compressed(coding, b"abc") + b"garbage"], ("content-encoding", coding)) == 400
    assert refused([b"plain text"], ("content-encoding", coding)) == 400
    assert refused([b""], ("content-encoding", coding)) == 400


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, zstd", "gzip,gzip", "utf-8"])
def test_unknown_codings_are_told_the_known_ones(coding: str) -> None:
    with pytest.raises(Problem) as caught:
        read([b"abc"], ("content-encoding", coding))
    assert (caught.value.status, caught.value.headers) == (415, {"Accept-Encoding": "gzip, zstd, identity"})


def test_two_coding_headers_count_as_one_list() -> None:
    assert refused([b"abc"], ("content-encoding", "gzip"), ("content-encoding", "gzip")) == 415


def test_old_and_loud_names_of_codings() -> None:
    assert read([compressed("gzip", b"abc")], ("content-encoding", "X-GZip")) == b"abc"


def test_the_limit_holds_by_the_header_before_anything_is_read() -> None:
    for length in (str(LIMIT + 1), "9" * 5_000):
        with pytest.raises(Problem) as caught:
            read([], ("content-length", length), gone=True)
        assert caught.value.status == 413


def test_the_limit_holds_while_reading() -> None:
    endless = [b"x" * 1_000] * (LIMIT // 1_000)
    assert len(read(endless)) == LIMIT
    with pytest.raises(Problem) as caught:
        # The client would be seen to leave if more were read.
        read([*endless, b"x"], gone=True)
    assert caught.value.status == 413
    assert refused([b"x" * (LIMIT + 1)]) == 413


@CODED
def test_the_limit_holds_for_what_comes_out(coding: str) -> None:
    assert len(read([compressed(coding, bytes(LIMIT))], ("content-encoding", coding))) == LIMIT
    assert refused([compressed(coding, bytes(LIMIT + 1))], ("content-encoding", coding)) == 413


@CODED
def test_a_bomb_is_noticed_before_it_has_burst(coding: str) -> None:
    bomb = compressed(coding, bytes(300_000_000))
    tracemalloc.start()
    started = time.monotonic()
    assert refused([bomb], ("content-encoding", coding), limit=1_000_000) == 413
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16_000_000
    assert time.monotonic() - started < 1


@CODED
def test_parts_without_number_are_refused_quickly(coding: str) -> None:
    started = time.monotonic()
    assert refused([compressed(coding, b"") * 50_000], ("content-encoding", coding), limit=10_000_000) == 400
    assert time.monotonic() - started < 3


def test_a_window_beyond_the_standard_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=0)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    assert refused([packer.compress(b"abc") + packer.flush()], ("content-encoding", "zstd")) == 400


def test_a_client_that_leaves_is_no_problem() -> None:
    for chunks in ([], [b"half"]):
        with pytest.raises(ClientGone):
            read(chunks, gone=True)
