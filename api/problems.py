"""What the service answers when it refuses: problem details (RFC 9457), one kind a slug.

Everything a caller can be told about is raised as a `Problem` and becomes one answer; `PROBLEMS` lists the kinds for
the documentation and OpenAPI.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import msgspec

MEDIA_TYPE = "application/problem+json"
MAX_POINTER_CHARS = 256
# Characters of a URI fragment that stand for themselves (RFC 3986, 3.5), beside letters, digits and "_.-~".
_FRAGMENT_SAFE = "!$&'()*+,;=:@?"
_CUT = quote("…")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a row.

    Args:
        pointer: Where, as a JSON pointer in a URI fragment (RFC 6901, 6): ``#/amount``, in a batch ``#/17/amount``.
        rule: Name of the broken rule, the one quarantine tables use.
        detail: A sentence for people.
    """

    pointer: str
    rule: str
    detail: str


def pointer(*parts: str | int) -> str:
    """Where a value is, as a JSON pointer in a URI fragment; one too long is cut, with an ellipsis at its end."""
    written = "#" + "".join("/" + _escaped(str(part)[:MAX_POINTER_CHARS]) for part in parts)
    if len(written) <= MAX_POINTER_CHARS:
        return written
    written = "#"
    # Character by character, as neither an escape nor a character of several bytes may be left in parts.
    for added in (piece for part in parts for piece in ("/", *map(_escaped, str(part)[:MAX_POINTER_CHARS]))):
        if len(written) + len(added) + len(_CUT) > MAX_POINTER_CHARS:
            break
        written += added
    return written + _CUT


def _escaped(text: str) -> str:
    storable = text.encode("utf-8", "backslashreplace").decode()
    return quote(storable.replace("~", "~0").replace("/", "~1"), safe=_FRAGMENT_SAFE)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem.

    Args:
        status: HTTP status.
        title: The same words in every answer of the kind.
        meaning: When it happens and what to do, for the documentation.
    """

    status: int
    title: str
    meaning: str


PROBLEMS: Mapping[str, Kind] = MappingProxyType(
    {
        "malformed": Kind(400, "The request cannot be read", "The body is not what its headers say. Mend it."),
        "unauthorized": Kind(401, "No valid API key", "Send a key as `Authorization: Bearer KEY`."),
        "forbidden": Kind(403, "The API key may not do this", "Use a key that has the scope named in `detail`."),
        "not-found": Kind(404, "There is no such thing", "Check the name or the identifier."),
        "method-not-allowed": Kind(405, "The path does not know this method", "See the `Allow` header."),
        "timeout": Kind(408, "The request took too long", "Send it again, faster or in smaller parts."),
        "conflict": Kind(409, "Something else is there already", "The identifier was used with other content."),
        "too-large": Kind(413, "The request is too large", "Send fewer rows or bytes at a time."),
        "unsupported": Kind(415, "The content type or coding is not supported", "Use one that `detail` names."),
        "unprocessable": Kind(422, "The rows break rules", "`errors` lists every field, rule and reason."),
        "too-many": Kind(429, "Too many requests", "Wait as many seconds as `Retry-After` says."),
        "internal": Kind(500, "The service failed", "Tell the operator the request id."),
        "unavailable": Kind(503, "The service cannot take this now", "Send it again after `Retry-After` seconds."),
    }
)


class Problem(Exception):  # noqa: N818 - the field's word, RFC 9457
    """A request refused.

    Args:
        status: HTTP status.
        slug: Key of `PROBLEMS`; the type is ``/problems/<slug>``.
        title: The kind in words.
        detail: This case in words, without payloads or secrets.
        errors: What is wrong field by field.
        headers: Headers of the answer, beside the content type.
        extra: Extension members of the document.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, slug, title, detail)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def __str__(self) -> str:
        return f"{self.status} {self.slug}: {self.detail}"

    def body(self, instance: str | None = None) -> bytes:
        """The document as JSON; `instance` names the request."""
        document: dict[str, Any] = {
            **self.extra,
            "type": f"/problems/{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if instance is not None:
            document["instance"] = instance
        if self.errors:
            document["errors"] = self.errors
        return msgspec.json.encode(document)


def problem(
    slug: str,
    detail: str,
    errors: Iterable[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Problem:
    """A problem of a kind in `PROBLEMS`."""
    kind = PROBLEMS[slug]
    return Problem(kind.status, slug, kind.title, detail, errors, headers, extra=extra)


def malformed(detail: str, errors: Iterable[FieldError] = ()) -> Problem:
    """400: the body is not what its headers say."""
    return problem("malformed", detail, errors)


def unauthorized(detail: str) -> Problem:
    """401, with the challenge that RFC 9110 (11.6.1) asks for."""
    return problem("unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="lakehouse"'})


def forbidden(detail: str) -> Problem:
    """403: the key is good but lacks a scope."""
    return problem("forbidden", detail)


def not_found(detail: str, extra: Mapping[str, Any] | None = None) -> Problem:
    """404."""
    return problem("not-found", detail, extra=extra)


def timeout(detail: str) -> Problem:
    """408: the request did not arrive, or was not done, in time."""
    return problem("timeout", detail, headers={"Connection": "close"})


def conflict(detail: str, errors: Iterable[FieldError] = (), extra: Mapping[str, Any] | None = None) -> Problem:
    """409: the identifier is taken by other content."""
    return problem("conflict", detail, errors, extra=extra)


def too_large(detail: str) -> Problem:
    """413: more bytes or rows than the settings allow."""
    return problem("too-large", detail)


def unsupported(detail: str, headers: Mapping[str, str] | None = None) -> Problem:
    """415: content type or coding nobody here reads."""
    return problem("unsupported", detail, headers=headers)


def unprocessable(detail: str, errors: Iterable[FieldError] = (), extra: Mapping[str, Any] | None = None) -> Problem:
    """422: readable, but rows break rules."""
    return problem("unprocessable", detail, errors, extra=extra)


def too_many(detail: str, retry_after_s: float) -> Problem:
    """429, with whole seconds to wait, rounded up."""
    return problem("too-many", detail, headers=_retry_after(retry_after_s))


def unavailable(detail: str, retry_after_s: float) -> Problem:
    """503, with whole seconds to wait, rounded up."""
    return problem("unavailable", detail, headers=_retry_after(retry_after_s))


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
