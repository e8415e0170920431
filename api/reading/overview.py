"""Every declared table at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lake.gated import last_gated
from lake.lake import Lake
from lake.tables import BY_NAME


@dataclass(frozen=True, slots=True)
class TableOverview:
    """One table; figures are None while there is no version to take them from.

    Args:
        table: Full name.
        layer: Medallion layer, or the platform's own.
        description: One sentence.
        rows: Rows of the gated version.
        gated_version: Version that readers read.
        newest_version: Newest version, let in or not.
        published_at: When the gate let the gated version in, UTC.
        size_bytes: Size of its files.
    """

    table: str
    layer: str
    description: str
    rows: int | None
    gated_version: int | None
    newest_version: int | None
    published_at: datetime | None
    size_bytes: int | None


def overviews(lake: Lake) -> list[TableOverview]:
    """All declared tables, in declared order.

    Raises:
        LakehouseError: A table cannot be read.
    """
    found = []
    for table in BY_NAME.values():
        newest = lake.open(table)
        gated = last_gated(lake, table) if newest is not None else None
        found.append(
            TableOverview(
                table=table.full_name,
                layer=table.layer.value,
                description=table.description,
                rows=gated.rows if gated else None,
                gated_version=gated.version if gated else None,
                newest_version=int(newest.version()) if newest is not None else None,
                published_at=gated.at if gated else None,
                size_bytes=gated.size_bytes if gated else None,
            )
        )
    return found
