"""API keys: their form, what is stored of them, and reading the file that holds them.

Of a key only the SHA-256 of its secret is stored. A slow, salted hash is for passwords, which people choose and reuse;
the secret here is 256 random bits, which no guessing finds whatever the hash.
Source: OWASP, Password Storage Cheat Sheet (work factors answer guessable input); NIST SP 800-63B, section 5.1.2
(look-up secrets of at least 112 bits need an approved one-way function, salted only below that).
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from lake.errors import StorageError

KEY_PREFIX = "lhk"
ID_CHARACTERS = 8
SECRET_BYTES = 32
SECRET_CHARACTERS = 43  # 32 bytes as base64url without padding
# The first slot of the rate limiter's file belongs to development mode, which has no keys.
MAX_KEYS = 4_095
FILE_FORMAT = 1
KEY_PATTERN = re.compile(rf"{KEY_PREFIX}_([a-z0-9]{{{ID_CHARACTERS}}})_([A-Za-z0-9_-]{{{SECRET_CHARACTERS}}})")
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_PATTERN = re.compile(rf"[a-z0-9]{{{ID_CHARACTERS}}}")
_DIGEST_PATTERN = re.compile(r"[0-9a-f]{64}")
_MAX_FILE_BYTES = 4 * 1024 * 1024


class Scope(StrEnum):
    """What a key may do; admin may do everything."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


class KeyState(StrEnum):
    """Whether a key lets anybody in."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as stored, without its secret.

    Args:
        id: Public part; appears in logs and in the rows it brought.
        name: For people.
        digest: SHA-256 of the secret's characters.
        scopes: What it may do.
        created_at: Moment, UTC.
        expires_at: First moment at which it lets nobody in; None when it does not expire.
        revoked_at: When it was revoked; None when it was not.
        requests_per_second: Its own limit; None for `api.requests_per_second`.
        slot: Its place in the rate limiter's file, from 1. Keys are never removed, so it never changes.
    """

    id: str
    name: str
    digest: bytes
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    requests_per_second: float | None
    slot: int

    def allows(self, scope: Scope) -> bool:
        """Whether it may do what needs `scope`."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def state(self, at: datetime) -> KeyState:
        """Whether it lets anybody in at a moment."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at is not None and at >= self.expires_at:
            return KeyState.EXPIRED
        return KeyState.ACTIVE


class StoredKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One key as the file holds it."""

    id: str
    name: str
    sha256: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    requests_per_second: float | None = None


class StoredKeys(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file."""

    format_version: int
    keys: list[StoredKey]


def digest_of(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode("ascii")).digest()


def new_key_text() -> tuple[str, str, str]:
    """A new key.

    Returns:
        Its id, its secret, and the whole key as its holder sends it.
    """
    key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(ID_CHARACTERS))
    secret = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode("ascii")
    return key_id, secret, f"{KEY_PREFIX}_{key_id}_{secret}"


def read_stored(path: Path) -> StoredKeys:
    """The key file, checked whole.

    Raises:
        FileNotFoundError: There is none.
        StorageError: It cannot be read, others may write it, or it says something no key file says.
    """
    try:
        status = path.stat()
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _unreadable(path, "others may write it", mend=f"chmod 600 {path}")
        if status.st_size > _MAX_FILE_BYTES:
            raise _unreadable(path, f"{status.st_size:,} bytes are more than any key file has")
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    try:
        stored = msgspec.json.decode(content, type=StoredKeys)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from None
    _refuse_unsound(path, stored)
    return stored


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Every key of the file, revoked and expired ones included; none when there is no file.

    Raises:
        StorageError: See `read_stored`.
    """
    try:
        stored = read_stored(path)
    except FileNotFoundError:
        return ()
    return tuple(_key(entry, slot) for slot, entry in enumerate(stored.keys, start=1))


def _key(entry: StoredKey, slot: int) -> ApiKey:
    return ApiKey(
        id=entry.id,
        name=entry.name,
        digest=bytes.fromhex(entry.sha256),
        scopes=frozenset(entry.scopes),
        created_at=entry.created_at,
        expires_at=entry.expires_at,
        revoked_at=entry.revoked_at,
        requests_per_second=entry.requests_per_second,
        slot=slot,
    )


def _refuse_unsound(path: Path, stored: StoredKeys) -> None:
    if stored.format_version != FILE_FORMAT:
        raise _unreadable(path, f"format {stored.format_version}, this code knows {FILE_FORMAT}")
    if len(stored.keys) > MAX_KEYS:
        raise _unreadable(path, f"more than {MAX_KEYS:,} keys")
    if len({entry.id for entry in stored.keys}) != len(stored.keys):
        raise _unreadable(path, "two keys have one id")
    for number, entry in enumerate(stored.keys, start=1):
        fault = _fault(entry)
        if fault:
            raise _unreadable(path, f"key {number}: {fault}")


def _fault(entry: StoredKey) -> str | None:
    moments = (entry.created_at, entry.expires_at, entry.revoked_at)
    faults = {
        "not an id": not _ID_PATTERN.fullmatch(entry.id),
        "not a name": not NAME_PATTERN.fullmatch(entry.name),
        "not a SHA-256": not _DIGEST_PATTERN.fullmatch(entry.sha256),
        "no scope": not entry.scopes,
        "a moment without a zone": any(m is not None and m.tzinfo is None for m in moments),
        "a limit that is not above 0": entry.requests_per_second is not None and not entry.requests_per_second > 0,
    }
    return next((fault for fault, found in faults.items() if found), None)


def _unreadable(path: Path, what: str, mend: str | None = None) -> StorageError:
    return StorageError(
        f"the key file cannot be used: {what}",
        where=str(path),
        mend=mend or "restore it from a backup, or move it away and make new keys with: ./lakehouse keys create",
    )


def now() -> datetime:
    """The present moment, UTC; expiry is judged by the wall clock."""
    return datetime.now(UTC)
