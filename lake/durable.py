"""Files and names that outlast a power cut: nothing counts as written before the disk has been asked to keep it.

A file's bytes and its name are kept apart by the file system: fsync of the file keeps the bytes, fsync of its
directory the name (POSIX.1-2017 fsync; Linux fsync(2), "calling fsync() does not necessarily ensure that the
entry in the directory containing the file has also reached disk").
"""

from __future__ import annotations

import os
from pathlib import Path

# Hidden from everything that lists a table's folders, and recognised by whoever clears up after a kill.
TEMPORARY_PREFIX = ".writing-"


class NameNotKeptError(OSError):
    """A file is there under its name with its bytes kept, but keeping the name failed: a power cut may undo it."""


def sync_directory(path: Path) -> None:
    """Keep the names in a directory.

    Raises:
        OSError: The disk did not take them.
    """
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Keep a file's bytes, whoever wrote them.

    Raises:
        OSError: The disk did not take them.
    """
    _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Create a directory with its parents, each of their names kept.

    Raises:
        OSError: It cannot be made.
    """
    missing = [d for d in (path, *path.parents) if not d.exists()]
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)


def write_file(path: Path, content: bytes | memoryview, mode: int = 0o644) -> None:
    """Write a new file and keep its bytes; its name is kept once its directory is synced.

    Args:
        path: Nobody holds it.
        content: All of the file.
        mode: Who may read and write it, less the process's mask.

    Raises:
        OSError: The disk is full or refuses, or the file exists; nothing is left of it then.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def create_file(path: Path, content: bytes) -> bool:
    """Give bytes a name that nobody holds yet: the name appears with all of its bytes on the disk, or not at all.

    Returns:
        Whether the name was free. True means that bytes and name are kept.

    Raises:
        NameNotKeptError: Bytes and name are there, but the directory could not be synced.
        OSError: The disk is full or refuses; the name is not there.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}")
    temporary.unlink(missing_ok=True)
    write_file(temporary, content)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    try:
        sync_directory(path.parent)
    except OSError as error:
        raise NameNotKeptError(error.errno, error.strerror, str(path)) from error
    return True


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Give a name to new bytes, whoever holds it: readers see the old file or the new one, whole, and it is kept.

    Raises:
        OSError: The disk is full or refuses.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}")
    temporary.unlink(missing_ok=True)
    write_file(temporary, content, mode)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
