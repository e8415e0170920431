"""A copy of a table held against the lake, read there as others read it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lake.active_files import active_files
from lake.errors import DivergenceError
from lake.lake import Lake
from lake.mirror import Mirrored, place_of
from lake.object_store import ObjectStore
from lake.table import Table


def verify(lake: Lake, table: Table, store: ObjectStore, done: Mirrored, *, every_byte: bool = False) -> None:
    """Hold a table's copy, read as others read it, against the lake: version, files, sizes.

    Args:
        lake: The lake.
        table: What was copied.
        store: Where to.
        done: What the mirror said it did.
        every_byte: Compare the digest of each file too, which reads all of them.

    Raises:
        DivergenceError: They differ.
        LakehouseError: See mirror.
    """
    copy, ours = store.delta(place_of(table)), lake.open(table, done.version)
    where, again = f"{store.url}/{place_of(table)}", "run ./lakehouse mirror again; if that does not mend it, delete it"
    if copy is None or ours is None or int(copy.version()) < done.version:
        found = None if copy is None else copy.version()
        raise DivergenceError(f"the copy is at version {found}, not {done.version}", where=where, mend=again)
    if int(copy.version()) > done.version:
        # Another mirror has gone on meanwhile, and verifies what it did.
        return
    expected, named = ({f.name: f.size for f in active_files(delta)} for delta in (ours, copy))
    if expected != named:
        raise DivergenceError(f"version {done.version} names other files than ours", where=where, mend=again)
    there = store.sizes(place_of(table))
    broken = [name for name, size in expected.items() if there.get(name) != size]
    if every_byte:
        path = lake.path(table)
        broken += [
            n for n in expected if n not in broken and store.digest(f"{place_of(table)}/{n}") != _sha256(path / n)
        ]
    if broken:
        raise DivergenceError(
            f"{len(broken)} files differ from ours, {sorted(broken)[0]} for one",
            where=where,
            mend="delete these objects and run ./lakehouse mirror again",
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
