"""How rows that came over HTTP say where they came from, in the same columns in which rows of files do.

`_batch_id` names the version they were committed as, `_source` the API key and what a repeat of the request is known
by.
"""

from __future__ import annotations

import re

REST = "rest/"
VERSION_DIGITS = 20
BATCH = re.compile(rf"{REST}(\d{{{VERSION_DIGITS}}})/.+")
SOURCE = re.compile(rf"{REST}([^/]+)(/.*)?")


def batch_id(version: int, writer_id: str) -> str:
    """`_batch_id` of rows in bronze: the version they were committed as, and by whom."""
    return f"{REST}{version:0{VERSION_DIGITS}d}/{writer_id}"


def source(key: str, idempotency: str, digest: str) -> str:
    """`_source` of rows in bronze: the API key, and digests of Idempotency-Key and body where there was one."""
    return f"{REST}{key}/{idempotency}/{digest}" if idempotency else f"{REST}{key}"


def quarantine_source(key: str, request_id: str, idempotency: str) -> str:
    """`_source` of quarantined rows: the API key, the request, and its Idempotency-Key's digest."""
    return f"{REST}{key}/{request_id}/{idempotency}" if idempotency else f"{REST}{key}/{request_id}"
