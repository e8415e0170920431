"""Experiments: everybody who signs up is assigned, some see the variant, some convert after that."""

from __future__ import annotations

import numpy as np

from tasks.generation import company
from tasks.generation.columns import NULL, Rows
from tasks.generation.draws import Array
from tasks.generation.people import People


def experiment_rows(people: People, first: int) -> dict[str, Rows]:
    """Rows of the three experiment tables by table name.

    Args:
        people: People of the block; what they did already depends on their variants.
        first: First free number for identifiers.
    """
    parts: dict[str, list[Rows]] = {table: [] for table in ("assignments", "exposures", "conversions")}
    for code in range(len(company.EXPERIMENTS)):
        for table, rows in _one(people, code).items():
            parts[table].append(rows)
    return {
        f"experiment_{table}": _numbered(f"{table.removesuffix('s')}_id", rows, first) for table, rows in parts.items()
    }


def _one(people: People, code: int) -> dict[str, Rows]:
    """Rows of one experiment without their keys."""
    experiment = company.EXPERIMENTS[code]
    exposed_at, converted_at = people.steps[experiment.exposed_at], people.steps[experiment.converts_at]
    is_assigned = people.signup_at != NULL
    is_exposed = is_assigned & (exposed_at != NULL) & people.is_exposed_at_step[code]
    is_converted = is_exposed & (converted_at != NULL)
    return {
        "assignments": {
            **_who(people, code, is_assigned),
            "variant": people.treated[code][is_assigned].astype(np.int8),
            "assigned_at": people.signup_at[is_assigned],
        },
        "exposures": {**_who(people, code, is_exposed), "exposed_at": exposed_at[is_exposed]},
        "conversions": {**_who(people, code, is_converted), "converted_at": converted_at[is_converted]},
    }


def _who(people: People, code: int, chosen: Array) -> Rows:
    user = people.user[chosen]
    return {"experiment_id": np.full(len(user), code, np.int8), "user_id": user}


def _numbered(key: str, parts: list[Rows], first: int) -> Rows:
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {key: first + np.arange(len(rows["user_id"])), **rows}
