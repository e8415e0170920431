"""Changing the key file: a new key, a revoked one. Written whole under a lock, so that readers see all or nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from api.security.keys import (
    FILE_FORMAT,
    MAX_KEYS,
    NAME_PATTERN,
    ApiKey,
    Scope,
    StoredKey,
    StoredKeys,
    digest_of,
    new_key_text,
    read_keys,
    read_stored,
)
from lake.durable import replace_file
from lake.errors import BadInputError, LakeBusyError, StorageError

_OWNER_ONLY = 0o600
_LOCK_WAIT_S = 10


def create_key(
    path: Path,
    name: str,
    scopes: Collection[Scope],
    at: datetime,
    *,
    expires_at: datetime | None = None,
    requests_per_second: float | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and store what recognises it.

    Args:
        path: The key file; made when absent.
        name: 1 to 64 letters, digits, spaces, dots, dashes and underscores; unique among keys that are not revoked.
        scopes: At least one.
        at: When it is made.
        expires_at: First moment at which it lets nobody in.
        requests_per_second: Its own limit; None for the setting's.

    Returns:
        The key as stored, and the text its holder sends; the text is kept nowhere.

    Raises:
        BadInputError: Name, scopes, expiry or limit cannot be.
        StorageError: The file cannot be read or written.
        LakeBusyError: Somebody else is changing it.
    """
    _refuse_bad(name, scopes, at, expires_at, requests_per_second)
    with _changing(path) as keys:
        if any(key.name == name and key.revoked_at is None for key in keys):
            raise BadInputError(f"there is a key named {name!r}", mend="choose another name, or revoke that one first")
        if len(keys) >= MAX_KEYS:
            raise BadInputError(f"the file holds {MAX_KEYS:,} keys, the most there can be", where=str(path))
        taken = {key.id for key in keys}
        key_id, secret, text = new_key_text()
        while key_id in taken:
            key_id, secret, text = new_key_text()
        keys.append(
            StoredKey(
                id=key_id,
                name=name,
                sha256=digest_of(secret).hex(),
                scopes=sorted(scopes),
                created_at=at,
                expires_at=expires_at,
                requests_per_second=requests_per_second,
            )
        )
    return _find(path, key_id), text


def revoke_key(path: Path, key_id: str, at: datetime) -> ApiKey:
    """Let nobody in with a key any more; doing it again changes nothing.

    Raises:
        BadInputError: There is no such key.
        StorageError: The file cannot be read or written.
        LakeBusyError: Somebody else is changing it.
    """
    with _changing(path) as keys:
        for number, key in enumerate(keys):
            if key.id == key_id:
                keys[number] = msgspec.structs.replace(key, revoked_at=key.revoked_at or at)
                break
        else:
            raise BadInputError(f"there is no key {key_id!r}", mend="list them with: ./lakehouse keys list")
    return _find(path, key_id)


def _find(path: Path, key_id: str) -> ApiKey:
    return next(key for key in read_keys(path) if key.id == key_id)


def _refuse_bad(
    name: str, scopes: Collection[Scope], at: datetime, expires_at: datetime | None, requests_per_second: float | None
) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise BadInputError(
            f"{name!r} is no name for a key", mend="1 to 64 letters, digits, spaces, dots, dashes and underscores"
        )
    if not scopes:
        raise BadInputError("the key may do nothing", mend=f"add --scope {' or --scope '.join(Scope)}")
    if expires_at is not None and expires_at <= at:
        raise BadInputError("the key would have expired already", mend="--expires-days must be at least 1")
    if requests_per_second is not None and not requests_per_second > 0:
        raise BadInputError(f"{requests_per_second} requests a second let nobody in", where="--requests-per-second")


@contextmanager
def _changing(path: Path) -> Iterator[list[StoredKey]]:
    """The keys, under the file's lock; what the block leaves in the list is what the file holds afterwards."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_WAIT_S):
            try:
                keys = list(read_stored(path).keys)
            except FileNotFoundError:
                keys = []
            yield keys
            content = msgspec.json.format(msgspec.json.encode(StoredKeys(FILE_FORMAT, keys)), indent=2)
            replace_file(path, content + b"\n", _OWNER_ONLY)
    except Timeout:
        raise LakeBusyError("somebody else is changing the keys", where=str(path), mend="run it again") from None
    except OSError as error:
        raise StorageError(f"cannot write the keys: {error.strerror or error}", where=str(path)) from error
