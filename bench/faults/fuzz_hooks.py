"""Media types that Schemathesis cannot write by itself."""

from __future__ import annotations

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def as_lines(ctx: Any, value: Any) -> bytes:  # noqa: ARG001
    """Items as lines; a text as it is."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    items = value if isinstance(value, list) else [value]
    # The standard library's writes whole numbers of any size, and halves of surrogates.
    return "".join(json.dumps(item, default=str) + "\n" for item in items).encode()


@schemathesis.serializer("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file")
def as_bytes(ctx: Any, value: Any) -> bytes:  # noqa: ARG001
    """Whatever it is: only a hand-made stream is one (see the tests of api.rows)."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
