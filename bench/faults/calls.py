"""What a process did to files below one directory, and what it told others, in order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of system calls that a disk, or somebody outside, can notice."""

    CREATE = "create"
    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC_BEGIN = "sync begins"
    SYNC = "sync"
    RENAME = "rename"
    LINK = "link"
    UNLINK = "unlink"
    MKDIR = "mkdir"
    RMDIR = "rmdir"
    TELL = "tell"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that succeeded.

    Args:
        kind: What it did.
        path: Of the file or directory, relative to the directory watched; for TELL, whom.
        target: The other name of RENAME and LINK.
        content: Bytes written or told.
        at: Offset of WRITE, -1 for the end; length of TRUNCATE; number that joins SYNC to its SYNC_BEGIN.
    """

    kind: Kind
    path: str
    target: str = ""
    content: bytes = b""
    at: int = -1
