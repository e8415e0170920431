"""Every declared table, in one visible list per layer."""

from __future__ import annotations

import difflib

from lake.errors import BadInputError
from lake.table import Layer, Table
from lake.tables.bronze import BRONZE
from lake.tables.gold import GOLD
from lake.tables.platform import AUDIT, quarantine_of
from lake.tables.silver import SILVER

QUARANTINE = tuple(quarantine_of(table) for table in (*BRONZE, *SILVER))

BY_NAME: dict[str, Table] = {table.full_name: table for table in (*BRONZE, *SILVER, *GOLD, *QUARANTINE, *AUDIT)}


def table(full_name: str) -> Table:
    """The declared table of that name, such as ``silver.users``.

    Raises:
        BadInputError: No such table; the message lists near names.
    """
    try:
        return BY_NAME[full_name]
    except KeyError:
        near = difflib.get_close_matches(full_name, BY_NAME, n=3, cutoff=0.4)
        raise BadInputError(
            f"there is no table {full_name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""),
            mend="list them with: ./lakehouse tables",
        ) from None


__all__ = ["AUDIT", "BRONZE", "BY_NAME", "GOLD", "QUARANTINE", "SILVER", "Layer", "Table", "quarantine_of", "table"]
