"""The difference of a table between two engines, or between two of its versions."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import BadInputError
from lake.gated import commits
from lake.lake import Lake
from lake.settings import EngineName, Settings
from lake.table import Layer, Table
from lake.tables import table as declared
from sql.compare import Difference, difference
from sql.engines.engine import open_engine
from sql.model import MODELS, load_models
from tasks.guest_engine import model_schema
from tasks.verify import is_ordered, lake_input, row_key

ENGINES: tuple[EngineName, ...] = get_args(EngineName)


def table_difference(settings: Settings, name: str, between: str, scratch: Path) -> Difference | None:
    """Compare a table between two engines over the lake's readable rows, or between two of its versions.

    Args:
        settings: The lake, limits and accounts.
        name: Full name of the table.
        between: Two engines or two version numbers, with a comma between.
        scratch: Directory for what engines need.

    Raises:
        BadInputError: No such table, or `between` names something else.
        ModelError: An engine cannot run the model.
        StorageError: There is no such version.
    """
    table = declared(name)
    sides = [side.strip() for side in between.split(",")]
    if len(sides) == 2 and all(side in ENGINES for side in sides):  # noqa: PLR2004 - two sides
        return _between_engines(settings, table, [e for side in sides for e in ENGINES if e == side], scratch)
    if len(sides) == 2 and all(side.isdecimal() for side in sides):  # noqa: PLR2004 - two sides
        ours, theirs = (_version(Lake(settings.lake.root), table, int(side)) for side in sides)
        return difference(ours, theirs, table.key)
    raise BadInputError(
        f"{between!r} is neither two engines nor two versions",
        where="--between",
        mend=f"write it like duckdb,sqlite (engines: {', '.join(ENGINES)}) or like 3,4",
    )


def _between_engines(settings: Settings, table: Table, engines: list[EngineName], scratch: Path) -> Difference | None:
    if table.layer not in (Layer.SILVER, Layer.GOLD):
        raise BadInputError(f"no model makes {table.full_name}", mend="name a silver or gold table")
    model, files = load_models(MODELS)[table.full_name], lake_input(Lake(settings.lake.root))
    results = []
    for index, name in enumerate(engines):
        with open_engine(name, settings, scratch / f"{name}-{index}") as engine:
            for source in sorted(model.depends_on):
                engine.register(declared(source), files[source])
            results.append(engine.run(model.sql, model_schema(model), str(model.path)).read_all())
    return difference(results[0], results[1], row_key(model), ordered=is_ordered(model))


def _version(lake: Lake, table: Table, version: int) -> pa.Table:
    known = {commit.version for commit in commits(lake, table)}
    delta = lake.open(table, version) if version in known else None
    if delta is None:
        mend = f"look at its versions with: ./lakehouse history {table.full_name}"
        raise BadInputError(f"{table.full_name} has no version {version}", where="--between", mend=mend)
    files = delta.file_uris()
    return pa.concat_tables([table.schema.empty_table(), *(pq.read_table(f, schema=table.schema) for f in files)])
