"""Types of query parameters: strict where the libraries' own are not."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field

from api.reading.cursor import MAX_CURSOR_CHARS

MAX_ID_CHARS = 256
_INT64_MAX = 2**63 - 1
# Source: RFC 3339, section 5.6, with the zone it demands.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _rfc_3339(value: Any) -> Any:
    """Refuse what pydantic would take for a moment too: numbers, moments without seconds or zone."""
    if isinstance(value, str) and not _RFC_3339.fullmatch(value):
        hint = "; a + in a query is written %2B" if " " in value else ""
        raise ValueError(f"not an RFC 3339 moment with a zone, such as 2026-01-31T09:00:00Z{hint}")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_rfc_3339)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)]
Version = Annotated[
    int | None,
    Field(ge=0, le=_INT64_MAX, description="Version to read; the last one a gate let in when absent.", examples=[3]),
]
CursorText = Annotated[
    str | None,
    Field(min_length=1, max_length=MAX_CURSOR_CHARS, description="`next` of the page before; other filters stay."),
]
