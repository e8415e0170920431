"""Who may do what: the middleware that asks for a key, its scope and its turn before anything else runs.

In development mode no key is asked for, and only this machine may ask. A browser on this machine is not trusted either:
a page from elsewhere can make it send requests to loopback, so requests that name another host (DNS rebinding), carry
an origin, or were passed on by a proxy are refused.
Source: OWASP, REST Security Cheat Sheet; RFC 6750, section 3 (what 401 and 403 say); RFC 9110, section 15.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import Problem, forbidden, problem, too_many, unauthorized
from api.security.key_ring import KeyRing
from api.security.keys import ApiKey
from api.security.keys import Scope as KeyScope
from api.security.rate_limit import BURST_S, DEVELOPMENT_SLOT, RateLimiter
from lake.settings import ApiSettings

# Answered without a key, with less in the answer.
OPEN_PATHS = frozenset({"/health", "/health/live", "/health/ready"})
_SCOPE_OF_METHOD = {"GET": KeyScope.READ, "HEAD": KeyScope.READ, "POST": KeyScope.INGEST}
_LOOPBACK_NAMES = (b"127.0.0.1", b"localhost", b"[::1]")
_PASSED_ON = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"origin"})
DEVELOPMENT_KEY = ApiKey(
    id="development",
    name="development mode",
    digest=b"",
    scopes=frozenset({KeyScope.ADMIN}),
    created_at=datetime(1970, 1, 1, tzinfo=UTC),
    expires_at=None,
    revoked_at=None,
    requests_per_second=None,
    slot=DEVELOPMENT_SLOT,
)

Headers = Iterable[tuple[bytes, bytes]]


def scope_needed(method: str, path: str) -> KeyScope:
    """The scope a request needs: reading for GET, ingest for POST under /api/v1, admin for all else."""
    if path.startswith("/api/v1/"):
        return _SCOPE_OF_METHOD.get(method, KeyScope.ADMIN)
    return KeyScope.READ if method in {"GET", "HEAD"} else KeyScope.ADMIN


def presented_key(headers: Headers) -> str | None:
    """The key in ``Authorization: Bearer`` or ``X-API-Key``; None when there is neither.

    Raises:
        Problem: 401 when there are two, or the scheme is another.
    """
    found: list[bytes] = []
    for name, value in headers:
        if name == b"authorization":
            scheme, _, text = value.partition(b" ")
            if scheme.lower() != b"bearer":
                raise unauthorized("The scheme of Authorization must be Bearer.")
            found.append(text.strip())
        elif name == b"x-api-key":
            found.append(value.strip())
    if not found:
        return None
    if len(found) > 1:
        raise unauthorized("The request carries more than one key.")
    return found[0].decode("latin-1")


class Guard:
    """ASGI middleware; what it lets through has ``scope["state"]["key"]``, an ApiKey, or None on open paths.

    Args:
        app: What it guards.
        settings: `development` and `requests_per_second`.
        ring: Recognises keys.
        limiter: Counts requests of a key over all workers.
    """

    def __init__(self, app: ASGIApp, settings: ApiSettings, ring: KeyRing, limiter: RateLimiter) -> None:
        self._app = app
        self._development = settings.development
        self._requests_per_second = settings.requests_per_second
        self._ring = ring
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["state"]["key"] = self._admit(scope)
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> ApiKey | None:
        if self._development:
            _refuse_strangers(scope)
            key = DEVELOPMENT_KEY
        else:
            if scope["path"] in OPEN_PATHS:
                return self._known(scope["headers"])
            text = presented_key(scope["headers"])
            if text is None:
                raise unauthorized("Send a key as Authorization: Bearer KEY or as X-API-Key: KEY.")
            key = self._ring.recognise(text)
            needed = scope_needed(scope["method"], scope["path"])
            if not key.allows(needed):
                raise _lacking(needed)
        rate = key.requests_per_second or self._requests_per_second
        verdict = self._limiter.ask(key.slot, rate)
        if not verdict.allowed:
            raise _too_soon(rate, verdict.retry_after_s)
        return key

    def _known(self, headers: Headers) -> ApiKey | None:
        """Who asks on an open path, where a wrong key is as good as none."""
        try:
            text = presented_key(headers)
            return None if text is None else self._ring.recognise(text)
        except Problem:
            return None


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _refuse_strangers(scope: Scope) -> None:
    client = scope.get("client")
    if client is not None and not is_loopback(client[0]):
        raise forbidden("In development mode only this machine may ask.")
    for name, value in scope["headers"]:
        if name == b"host":
            bare = value if value.endswith(b"]") else value.rpartition(b":")[0] or value
            if bare.lower() not in _LOOPBACK_NAMES:
                raise forbidden("In development mode the Host must be localhost, 127.0.0.1 or [::1].")
        elif name in _PASSED_ON:
            raise forbidden(f"In development mode requests with the header {name.decode()} are refused.")


def _lacking(needed: KeyScope) -> Problem:
    challenge = f'Bearer realm="lakehouse", error="insufficient_scope", scope="{needed}"'
    return problem("forbidden", f"The key lacks the scope {needed}.", headers={"WWW-Authenticate": challenge})


def _too_soon(rate: float, wait_s: float) -> Problem:
    refusal = too_many(f"The key may ask {rate:g} times a second.", wait_s)
    # Names as in the IETF draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-10).
    window = max(1, round(BURST_S))
    refusal.headers["RateLimit-Policy"] = f'"key";q={max(1, int(rate))};w={window}'
    refusal.headers["RateLimit"] = f'"key";r=0;t={refusal.headers["Retry-After"]}'
    return refusal
