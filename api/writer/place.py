"""Where the writer of a lake listens, and the lock that there is one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from api.private_directory import private_directory
from lake.lake import Lake

LOCK = ".ingest.lock"


def lock_path(lake: Lake) -> Path:
    """Held by the writer for as long as it lives; lies in the lake, so that services elsewhere see it too."""
    return lake.root / LOCK


def socket_path(lake: Lake) -> Path:
    """The writer's Unix socket, in a directory that only this user enters: a lake's own path may be too long for one.

    Raises:
        StorageError: The directory belongs to somebody else, or cannot be made.
    """
    digest = hashlib.sha256(str(lake.root.resolve()).encode()).hexdigest()[:16]
    return private_directory("lakehouse") / f"{digest}.sock"
