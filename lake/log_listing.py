"""What lies in a table's log directory, from one look at its names.

Names: Delta transaction protocol, "Delta Log Entries", "Checkpoints" and "Last Checkpoint File".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from lake.log import LOG

LAST_CHECKPOINT = "_last_checkpoint"
_ENTRY = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10})|\.[0-9a-f-]{36})?\.(?:parquet|json)")


@dataclass(frozen=True, slots=True)
class LogListing:
    """The log of one table.

    Args:
        entries: Versions that have an entry.
        checkpoints: Version to its files; of one in parts only where every part is there.
        incomplete: Checkpoints in parts of which some are missing.
        others: Every other name, hidden ones too.
    """

    entries: frozenset[int]
    checkpoints: Mapping[int, tuple[Path, ...]]
    incomplete: Mapping[int, tuple[Path, ...]]
    others: frozenset[str]

    @property
    def newest(self) -> int:
        """The newest version; -1 when there is none."""
        return max((*self.entries, *self.checkpoints), default=-1)

    def since_checkpoint(self) -> int:
        """Entries above the newest checkpoint."""
        return self.newest - max(self.checkpoints, default=-1)

    def missing(self, version: int, checkpoints: frozenset[int] | None = None) -> Iterator[int]:
        """Entries without which `version` cannot be read.

        Args:
            version: What shall be read.
            checkpoints: Those that may be used; all when absent.
        """
        usable = self.checkpoints if checkpoints is None else checkpoints
        base = max((c for c in usable if c <= version), default=-1)
        return (v for v in range(base + 1, version + 1) if v not in self.entries)


def list_log(table_path: Path) -> LogListing:
    """Look once at a table's log directory; an absent one is empty.

    Raises:
        OSError: It cannot be read.
    """
    entries: set[int] = set()
    parts: dict[int, list[Path]] = {}
    wanted: dict[int, int] = {}
    others: set[str] = set()
    directory = table_path / LOG
    with os.scandir(directory) if directory.is_dir() else nullcontext(()) as found_files:
        names = [file.name for file in found_files]
    for name in names:
        if found := _ENTRY.fullmatch(name):
            entries.add(int(found[1]))
        elif found := _CHECKPOINT.fullmatch(name):
            version = int(found[1])
            parts.setdefault(version, []).append(directory / name)
            wanted[version] = int(found[3] or 1)
        else:
            others.add(name)
    whole = {v: tuple(sorted(files)) for v, files in parts.items() if len(files) >= wanted[v]}
    incomplete = {v: tuple(sorted(files)) for v, files in parts.items() if v not in whole}
    return LogListing(frozenset(entries), whole, incomplete, frozenset(others))
