"""Where a lake's tables lie, and opening them with errors a person can act on."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, DeltaProtocolError, TableNotFoundError

from lake.durable import make_directory, replace_file
from lake.errors import LakeBusyError, NewerLakeError, StorageError, VersionGoneError
from lake.log_listing import list_log
from lake.table import Table

# Raised when a change of layout or metadata makes older code misread a lake.
FORMAT_VERSION = 1
_MARKER = "lake.json"
_STAGING = "_staging"
# How often a log that seems to lack entries is listed before that is believed, and how long to wait in between.
_LISTINGS, _LISTING_PAUSE_S = 6, 0.02
_GAP = "found gap"
_LATER = "look at the versions there are with: ./lakehouse history"


@dataclass(frozen=True, slots=True)
class Lake:
    """A directory of Delta tables: ``<root>/<layer>/<table>``.

    Args:
        root: Directory of the lake.
    """

    root: Path

    def path(self, table: Table) -> Path:
        """Directory of a table."""
        return self.root / table.layer / table.name

    def staging(self, run_id: str) -> Path:
        """Directory for one run's candidates; same file system as the tables, so that publishing moves no bytes."""
        return self.root / _STAGING / run_id

    def prepare(self) -> None:
        """Create the lake when absent and check that this code may write it.

        Raises:
            NewerLakeError: A later version of the project wrote the lake.
            StorageError: The directory cannot be written.
        """
        self.check_format()
        marker = self.root / _MARKER
        try:
            make_directory(self.root)
            if not marker.exists():
                replace_file(marker, json.dumps({"format_version": FORMAT_VERSION}).encode() + b"\n")
            probe = self.root / f".probe.{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise StorageError(
                f"cannot write the lake: {error.strerror}",
                where=str(self.root),
                mend="mend the directory, or set lake.root to another",
            ) from None

    def check_format(self) -> None:
        """Refuse a lake that later code wrote.

        Raises:
            NewerLakeError: Its format version is above ours.
            StorageError: The marker cannot be read.
        """
        marker = self.root / _MARKER
        try:
            found = json.loads(marker.read_text(encoding="utf-8"))["format_version"]
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"unreadable lake marker ({error})", where=str(marker)) from None
        if not isinstance(found, int) or found > FORMAT_VERSION:
            raise NewerLakeError(
                f"the lake has format {found}, this code knows up to {FORMAT_VERSION}",
                where=str(marker),
                mend="use the version of the project that wrote it, or another lake.root",
            )

    def open(self, table: Table, version: int | None = None) -> DeltaTable | None:
        """The Delta table, at its newest or the given version; None when it was never written.

        Raises:
            VersionGoneError: The log no longer reaches back to that version, or not yet up to it.
            StorageError: The transaction log is torn or cannot be read.
            NewerLakeError: The table has columns this code does not declare.
        """
        path = self.path(table)
        if not (path / "_delta_log").is_dir():
            return None
        with readable(path):
            try:
                delta = _opened(path, version)
            except DeltaError as error:
                # Asked afterwards, as a log may be cleaned while it is read.
                if version is not None and (gone := _gone(path, version)):
                    raise VersionGoneError(gone, where=f"{table.full_name} at {path}", mend=_LATER) from error
                if isinstance(error, TableNotFoundError):
                    return None
                raise
            stored = [field.name for field in delta.schema().fields]
        unknown = sorted(set(stored) - set(table.column_names))
        if unknown:
            raise NewerLakeError(
                f"the table has columns this code does not know: {', '.join(unknown)}",
                where=f"{table.full_name} at {path}",
                mend="use the version of the project that wrote it",
            )
        return delta

    def discard_staging(self, run_id: str | None = None) -> None:
        """Delete one run's candidates, or those of every run that left some."""
        shutil.rmtree(self.staging(run_id) if run_id else self.root / _STAGING, ignore_errors=True)


def _opened(path: Path, version: int | None) -> DeltaTable:
    """A table whose log others may be writing to: a directory's listing is no snapshot.

    It may have a name that was added while it was read and lack one that was added before, and delta-rs then says
    that there is a gap. A gap that stays is one.
    """
    for _ in range(_LISTINGS - 1):
        try:
            return DeltaTable(str(path), version=version)
        except DeltaError as error:
            if _GAP not in str(error):
                raise
            time.sleep(_LISTING_PAUSE_S)
    return DeltaTable(str(path), version=version)


def _gone(path: Path, version: int) -> str | None:
    """Why a log does not reach a version; None where it does, or is torn, or is empty."""
    listing = list_log(path)
    if listing.newest < 0:
        return None
    if version > listing.newest:
        return f"there is no version {version}: the newest is {listing.newest}"
    missing = max(listing.missing(version), default=None)
    if missing is not None and missing < min(listing.entries, default=version + 1):
        return f"version {version} can no longer be read: its log entries were cleaned"
    return None


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Sort what delta-rs raises into errors of ours that name the table's directory."""
    try:
        yield
    except TableNotFoundError:
        raise
    except CommitFailedError as error:
        raise LakeBusyError(
            f"another writer committed first ({error})", where=str(path), mend="run the command again"
        ) from error
    except DeltaProtocolError as error:
        raise NewerLakeError(f"the table needs a Delta feature this version lacks: {error}", where=str(path)) from error
    except (DeltaError, OSError, ValueError) as error:
        text = str(error)
        full = "No space left" in text or "os error 28" in text
        raise StorageError(
            "the disk is full" if full else f"the Delta table cannot be read or written: {text}",
            where=str(path),
            mend="free some space and run again; the last good version is untouched"
            if full
            else "restore its _delta_log from a backup, or delete the table's directory and rebuild it",
        ) from error
