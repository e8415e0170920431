"""The mirror: published tables, then the exports, copied to where other platforms read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lake.errors import BadInputError
from lake.mirror import Mirrored, mirror, vacuum_copy
from lake.mirror_verify import verify
from lake.object_store import ObjectStore
from lake.table import Layer
from lake.tables import BY_NAME
from tasks.report import REPORT_NAME
from tasks.workspace import Workspace

# Rows as received, quarantined ones and the platform's own records stay home unless asked for.
LAYERS = (Layer.SILVER, Layer.GOLD)
_EXPORTS = "exports"


@dataclass(frozen=True, slots=True)
class MirrorSummary:
    """What a mirror run did.

    Args:
        to: Where the copies lie.
        tables: One entry for each published table of the layers.
        exports: Files copied to ``exports/``.
    """

    to: str
    tables: tuple[Mirrored, ...]
    exports: tuple[str, ...]


def mirror_tables(
    workspace: Workspace, layers: Sequence[Layer] = LAYERS, *, every_byte: bool = False, vacuum: bool = False
) -> MirrorSummary | None:
    """Bring the copies at mirror.to to what readers of the lake read, and hold them against it.

    Changes nothing in the lake and needs no lock: it may run beside writers and beside other mirrors.

    Args:
        workspace: The run.
        layers: Whose tables.
        every_byte: Read every copied file back and compare digests.
        vacuum: Delete files from the copies that are past their table's retention.

    Returns:
        None when mirror.to is not set.

    Raises:
        BadInputError: mirror.to is no place for a mirror.
        DivergenceError: Something else lies there, or a copy differs from ours.
        LakehouseError: The store does not do as asked (lake.object_store), or the lake cannot be read.
    """
    settings = workspace.settings
    if settings.mirror.to is None:
        return None
    _require_apart(settings.mirror.to, settings.lake.root, settings.export.directory)
    store = ObjectStore(settings.mirror.to, settings.mirror)
    tables = []
    for table in BY_NAME.values():
        done = mirror(workspace.lake, table, store) if table.layer in layers else None
        if done is not None:
            verify(workspace.lake, table, store, done, every_byte=every_byte)
            done.deleted = vacuum_copy(table, store) if vacuum else 0
            tables.append(done)
    return MirrorSummary(store.url, tuple(tables), _mirror_exports(settings.export.directory, store))


def _require_apart(to: str, *own: Path) -> None:
    if "://" in to:
        return
    place = Path(to).resolve()
    for directory in (path.resolve() for path in own):
        if place.is_relative_to(directory) or directory.is_relative_to(place):
            raise BadInputError(
                f"the mirror and {directory} lie in each other", where=to, mend="name a directory of its own"
            )


def _mirror_exports(directory: Path, store: ObjectStore) -> tuple[str, ...]:
    """Copy every export, each whole; the quality report last, so that whoever finds it finds what it speaks of."""
    found = [f for f in directory.iterdir() if f.is_file() and not f.name.startswith(".")] if directory.is_dir() else []
    files = sorted(found, key=lambda file: (file.name == REPORT_NAME, file.name))
    for file in files:
        store.put(f"{_EXPORTS}/{file.name}", file)
    return tuple(f"{_EXPORTS}/{file.name}" for file in files)
