"""Where the writer of a lake listens, and the lock that there is one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from lake.errors import StorageError
from lake.lake import Lake

LOCK = ".ingest.lock"
_PRIVATE = 0o700


def lock_path(lake: Lake) -> Path:
    """Held by the writer for as long as it lives; lies in the lake, so that services elsewhere see it too."""
    return lake.root / LOCK


def socket_path(lake: Lake) -> Path:
    """The writer's Unix socket, in a directory that only this user enters: a lake's own path may be too long for one.

    Raises:
        StorageError: The directory belongs to somebody else, or cannot be made.
    """
    digest = hashlib.sha256(str(lake.root.resolve()).encode()).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()) / f"lakehouse-{os.getuid()}"
    try:
        directory.mkdir(mode=_PRIVATE, exist_ok=True)
        status = directory.lstat()
    except OSError as error:
        raise StorageError(f"cannot make the writer's directory: {error.strerror}", where=str(directory)) from None
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or not directory.is_dir():
        raise StorageError(
            "the writer's directory is not ours alone", where=str(directory), mend="remove it, or set TMPDIR"
        )
    return directory / f"{digest}.sock"
