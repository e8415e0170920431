"""The keys as a worker knows them: read again when the file changes, and never trusted when it cannot be read."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from api.problems import unauthorized, unavailable
from api.security.keys import KEY_PATTERN, ApiKey, KeyState, digest_of, now, read_keys
from lake.errors import StorageError

RELOAD_INTERVAL_S = 1.0
_RETRY_AFTER_S = 5
# Compared with when nobody has the id, so that an unknown id takes as long as a wrong secret.
_NOBODY = bytes(32)
_log = structlog.get_logger("lakehouse.api")


class KeyRing:
    """Recognises keys.

    Args:
        path: The key file.
        clock: Moment of the wall clock; expiry is judged by it.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = now) -> None:
        self._path = path
        self._clock = clock
        self._keys: dict[str, ApiKey] = {}
        self._broken: StorageError | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._looked_at = -RELOAD_INTERVAL_S

    @property
    def is_empty(self) -> bool:
        """Whether there is a sound key file without a single key, or none."""
        self._reload()
        return self._broken is None and not self._keys

    @property
    def is_sound(self) -> bool:
        """Whether anybody can be recognised at all."""
        self._reload()
        return self._broken is None

    def recognise(self, presented: str) -> ApiKey:
        """The key a caller presents.

        Raises:
            Problem: 401 when it lets nobody in; 503 when the key file cannot be used.
        """
        if time.monotonic() - self._looked_at >= RELOAD_INTERVAL_S:
            self._reload()
        if self._broken is not None:
            raise unavailable("The service cannot check keys at present.", retry_after_s=_RETRY_AFTER_S)
        match = KEY_PATTERN.fullmatch(presented)
        if match is None:
            raise unauthorized("This is no key of this service.")
        key = self._keys.get(match[1])
        same = hmac.compare_digest(digest_of(match[2]), _NOBODY if key is None else key.digest)
        if key is None or not same:
            raise unauthorized("This key lets nobody in.")
        if key.revoked_at is not None or key.expires_at is not None:
            self._refuse_inactive(key)
        return key

    def _refuse_inactive(self, key: ApiKey) -> None:
        # Only who holds the secret learns this.
        state = key.state(self._clock())
        if state is not KeyState.ACTIVE:
            raise unauthorized(f"This key is {state}.")

    def _reload(self) -> None:
        self._looked_at = time.monotonic()
        stamp = self._stamp_of_file()
        if stamp == self._stamp and stamp is not None:
            return
        try:
            self._keys = {key.id: key for key in read_keys(self._path)}
        except StorageError as error:
            if self._broken is None or self._broken.what != error.what:
                _log.error("keys_unusable", what=error.what, where=error.where, mend=error.mend)
            self._keys, self._broken, self._stamp = {}, error, None
            return
        # A sound file replaced while it was read is read again at the next look.
        self._broken, self._stamp = None, stamp

    def _stamp_of_file(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size
