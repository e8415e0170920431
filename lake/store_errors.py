"""What an object store's library says, sorted into errors that tell what to type."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lake.errors import ConfigurationError, LakehouseError, StorageError
from lake.settings import MirrorSettings


class StoreUnreachableError(StorageError):
    """An object store did not answer, or answered that it is out of order, more often than is tried again."""

    retryable = True


class BrokenOffError(StoreUnreachableError):
    """A request broke off in a way the library does not try again by itself."""


@dataclass(frozen=True, slots=True)
class _Cause:
    """A known cause: what its text holds, what happened, what to do, as which error."""

    words: tuple[str, ...]
    what: str
    mend: str
    kind: type[LakehouseError] = StorageError


# In this order: a text may hold words of a later one too.
_CAUSES = (
    _Cause(
        ("/latest/api/token", "169.254.170.2", "identity/oauth2/token"),
        "no credentials were found",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (S3), AZURE_STORAGE_ACCOUNT_KEY or AZURE_CLIENT_ID, "
        "AZURE_CLIENT_SECRET and AZURE_TENANT_ID (Azure), or run where the platform gives an identity",
        ConfigurationError,
    ),
    _Cause(
        ("NoSuchBucket", "ContainerNotFound"),
        "the bucket or container is not there",
        "create it, or name another with: ./lakehouse mirror TO",
    ),
    _Cause(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "failed to authenticate", "ExpiredToken", "InvalidToken"),
        "the credentials were refused",
        "renew them in the environment (AWS_* or AZURE_*)",
    ),
    _Cause(
        ("403 Forbidden", "401 Unauthorized", "AccessDenied", "AuthorizationPermissionMismatch"),
        "access was denied",
        "grant the actions that docs/mirror.md lists",
    ),
    _Cause(
        ("301 Moved Permanently", "PermanentRedirect", "redirect without LOCATION", "AuthorizationHeaderMalformed"),
        "the bucket lies in another region",
        "set mirror.region (LAKEHOUSE_MIRROR__REGION)",
    ),
    _Cause(
        ("No space left", "os error 28", "QuotaExceeded", "os error 122"),
        "the disk is full",
        "free some space and run again; what readers read is untouched",
    ),
    _Cause(("Permission denied", "os error 13", "Read-only file system"), "it cannot be written", "mend its rights"),
)
_PASSING = ("error sending request", "timed out", "HTTP error", "status code: 5")
# How the library says that it has tried again.
_TRIED_AGAIN = re.compile(r"after \d+ retries")


def explain(text: str, where: str, given: MirrorSettings) -> LakehouseError:
    for cause in _CAUSES:
        if any(words in text for words in cause.words):
            return cause.kind(cause.what, where=where, mend=cause.mend)
    first = text.partition("\n")[0]
    if any(words in text for words in _PASSING):
        kind = StoreUnreachableError if _TRIED_AGAIN.search(text) else BrokenOffError
        return kind(
            f"the store does not answer, tried {given.retries + 1} times ({first})",
            where=where,
            mend="look at mirror.endpoint and the network, then run again: it goes on where it stopped",
        )
    return StorageError(f"the store refused: {first}", where=where, mend="look at mirror.to and mirror.endpoint")


def is_absent_bucket(text: str) -> bool:
    return "NoSuchBucket" in text or "ContainerNotFound" in text
