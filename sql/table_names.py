"""How a declared table is called in each target's SQL."""

from __future__ import annotations


def table_name(full_name: str, target: str) -> str:
    """Name of a table, unquoted.

    Args:
        full_name: Layer and name, such as ``silver.users``; or a name alone, which stays.
        target: ``sqlite`` has no schemas in one file, so that the layer becomes part of the name; others keep the dot.
    """
    return full_name.replace(".", "_") if target == "sqlite" else full_name
