"""The inbox: which dropped files wait to be landed, and what each of them is.

A file is identified by its content, so a copy under another name is the same batch. Files are refused by
name or kind (unknown extension, link out of the inbox, pipe) under an identifier of their own: renamed
or replaced, they are new again.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lake.errors import BadInputError
from lake.table import Table
from lake.tables import BRONZE

FileFormat = Literal["csv", "jsonl", "parquet", "unknown"]

_FORMATS: dict[str, FileFormat] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_GZIP = ".gz"
# Editors, browsers and copy tools mark files they have not finished in this way.
_UNFINISHED = (".", "_")

FORMAT_UNKNOWN = "file_format_unknown"
LINK_LEAVES_INBOX = "link_leaves_the_inbox"
LINK_BROKEN = "link_is_broken"
NOT_REGULAR = "not_a_regular_file"


@dataclass(frozen=True, slots=True)
class InboxFile:
    """A file that waits in the inbox.

    Args:
        path: Where its content lies, links resolved.
        name: Path relative to the inbox, as rows will name their source.
        batch_id: SHA-256 of the content, hexadecimal; of reason and content (or name, where the content
            must not be read) when `refusal` is set.
        file_format: By extension.
        size_bytes: Size when it was found.
        compressed: Whether it is gzip around `file_format`.
        refusal: Why the whole file will be quarantined for what it is; None when its content decides.
    """

    path: Path
    name: str
    batch_id: str
    file_format: FileFormat
    size_bytes: int
    compressed: bool = False
    refusal: str | None = None


def pending_files(inbox: Path, table: Table, landed: Callable[[str], bool], *, limit: int) -> list[InboxFile]:
    """Files of ``<inbox>/<table>/`` that have not landed, in the order of their names, each content once.

    Names that begin with ``.`` or ``_`` and subfolders are passed over. A missing folder holds no files.

    Args:
        inbox: The inbox; it holds one folder per bronze table.
        table: Bronze table.
        landed: Whether a batch has landed.
        limit: Most files to return; the rest waits for the next run.

    Raises:
        BadInputError: The folder or a file cannot be read.
    """
    found: dict[str, InboxFile] = {}
    for name in _names(inbox / table.name):
        if len(found) == limit:
            break
        file = _identified(inbox, table, name)
        if file is not None and file.batch_id not in found and not landed(file.batch_id):
            found[file.batch_id] = file
    return list(found.values())


def stray_folders(inbox: Path) -> list[str]:
    """Folders of the inbox that are named like no bronze table, so that nothing lands from them.

    Raises:
        BadInputError: The inbox cannot be read.
    """
    tables = {table.name for table in BRONZE}
    return [_text(name) for name in _names(inbox) if name not in tables and (inbox / name).is_dir()]


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn the operating system's refusals to read `name` into advice."""
    try:
        yield
    except FileNotFoundError:
        raise BadInputError("disappeared while it was being read", where=name, mend="run again") from None
    except OSError as error:
        raise BadInputError(
            f"cannot be read: {error.strerror or error}", where=name, mend="give this user the right to read it"
        ) from None


def open_source(path: Path) -> io.FileIO:
    """Open a file for reading only, following no link that took its place meanwhile.

    Raises:
        OSError: It cannot be opened.
    """
    # Without O_NONBLOCK, a pipe put in the file's place would hang the run.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    return io.FileIO(os.open(path, flags), "rb")


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith(_UNFINISHED))
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise BadInputError(
            "expected a folder", where=str(folder), mend="make it a folder and drop the files into it"
        ) from None
    except OSError as error:
        raise BadInputError(
            f"cannot be listed: {error.strerror}", where=str(folder), mend="give this user the right to read it"
        ) from None


def _identified(inbox: Path, table: Table, raw_name: str) -> InboxFile | None:
    """What a directory entry is; None for a folder."""
    path, name = inbox / table.name / raw_name, _text(f"{table.name}/{raw_name}")
    with readable(name):
        if path.is_dir():
            return None
        real = path.resolve()
        if not real.is_relative_to(inbox.resolve()):
            return _refused(path, name, LINK_LEAVES_INBOX)
        if not real.exists():
            return _refused(path, name, LINK_BROKEN)
        if not stat.S_ISREG(real.stat().st_mode):
            return _refused(path, name, NOT_REGULAR)
        with open_source(real) as source:
            size, content = os.fstat(source.fileno()).st_size, hashlib.file_digest(source, "sha256").hexdigest()
    file_format, compressed = _format(raw_name)
    if file_format == "unknown":
        return InboxFile(real, name, _digest(FORMAT_UNKNOWN, content), file_format, size, refusal=FORMAT_UNKNOWN)
    return InboxFile(real, name, content, file_format, size, compressed)


def _refused(path: Path, name: str, reason: str) -> InboxFile:
    target = str(path.readlink()) if path.is_symlink() else ""
    return InboxFile(path, name, _digest(reason, name, _text(target)), "unknown", 0, refusal=reason)


def _format(name: str) -> tuple[FileFormat, bool]:
    path = Path(name.lower())
    compressed = path.suffix == _GZIP
    file_format = _FORMATS.get(Path(path.stem).suffix if compressed else path.suffix, "unknown")
    # Parquet compresses inside; gzip around it would have to be unpacked to disk first.
    return ("unknown", False) if compressed and file_format == "parquet" else (file_format, compressed)


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _text(name: str) -> str:
    """A file name that tables can hold: bytes that are not UTF-8 written as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
