"""A directory of this user's own among everybody's temporary files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lake.errors import StorageError

_OWNER_ONLY, _OTHERS = 0o700, 0o077


def private_directory(name: str) -> Path:
    """The directory ``<temporary files>/<name>-<user id>``, which only this user enters; made when absent.

    Raises:
        StorageError: Somebody else's lies there, or one that others enter, or it cannot be made.
    """
    directory = Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"
    try:
        directory.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        status = directory.lstat()
    except OSError as error:
        raise StorageError(f"cannot make the service's directory: {error.strerror}", where=str(directory)) from None
    if status.st_uid != os.getuid() or status.st_mode & _OTHERS or not directory.is_dir():
        raise StorageError(
            "the service's directory is not ours alone", where=str(directory), mend="remove it, or set TMPDIR"
        )
    return directory
