"""Moving torn files of a log aside: they leave their names and keep their bytes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from lake.durable import sync_directory
from lake.log import LOG, entry_path

logger = logging.getLogger("lakehouse")
# Names that begin with a dot are read by no engine.
TORN_PREFIX = ".torn-"


@dataclass(frozen=True, slots=True)
class Repaired:
    """One thing a repair did.

    Args:
        what: What was found, in words.
        where: The file it was found in, as it was called.
        now: Its name since; None when it is gone or untouched.
    """

    what: str
    where: Path
    now: Path | None = None


def note(what: str, where: Path, now: Path | None = None) -> Repaired:
    """A repair, told to the log as well."""
    logger.warning("repaired %s: %s%s", where, what, f"; now {now.name}" if now else "")
    return Repaired(what, where, now)


def move_aside(file: Path, version: int | str, what: str) -> Repaired:
    """Give a file of a log directory a hidden name, ``.torn-<version>-<n>``, that nobody holds.

    Raises:
        OSError: It cannot be renamed, or the directory cannot be synced.
    """
    number = 0
    while (target := file.with_name(f"{TORN_PREFIX}{version}-{number}")).exists():
        number += 1
    file.rename(target)
    sync_directory(file.parent)
    return note(what, file, target)


def move_entry_aside(table_path: Path, version: int, what: str) -> list[Repaired]:
    """Move a version's entry aside, and the checksums other writers keep of it: they would refuse the next one."""
    entry = entry_path(table_path, version)
    directory = table_path / LOG
    checksums = (directory / f".{entry.name}.crc", directory / f"{version:020d}.crc")
    done = [move_aside(file, version, f"checksum of {entry.name}") for file in checksums if file.exists()]
    return [*done, move_aside(entry, version, what)]
