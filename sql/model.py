"""SQL models: one SELECT a file, named by its place, its dependencies read from the SQL itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from lake.errors import ModelError
from lake.settings import PROJECT_ROOT
from lake.table import Layer, Table
from lake.tables import BY_NAME, MARTS, SILVER
from sql.model_check import BROKEN_RULES, check_output, expected_columns, parse_select, sources_of

# The project's own models.
MODELS = PROJECT_ROOT / "sql" / "models"
# Part of every fingerprint: raise it when rows would come out differently though model and declaration stayed.
RULES_OF_TRANSFORM = 1


@dataclass(frozen=True, slots=True)
class Model:
    """A SELECT that makes one declared table.

    Args:
        name: Full name of the table, such as ``silver.users``.
        path: File it is written in.
        sql: The SELECT as written, without a closing semicolon.
        depends_on: Full names of the tables it reads.
    """

    name: str
    path: Path
    sql: str
    depends_on: frozenset[str]

    @property
    def table(self) -> Table:
        return BY_NAME[self.name]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns the SELECT must yield, in order."""
        return tuple(name for name, _ in expected_columns(self.table))


def load_models(directory: Path, tables: Sequence[Table] = (*SILVER, *MARTS)) -> dict[str, Model]:
    """Every model below `directory`, by table name; ``silver/users.sql`` makes ``silver.users``.

    Args:
        directory: Holds one folder per layer; folders inside those only group.
        tables: Tables that must have a model each.

    Raises:
        ModelError: With file and line: SQL that does not parse or is more than one SELECT, a table or column nobody
            declared, other output than declared, two models of one name, a declared table without a model.
    """
    models: dict[str, Model] = {}
    for path in sorted(directory.glob("*/**/*.sql")):
        model = _load(path, f"{path.relative_to(directory).parts[0]}.{path.stem}")
        if model.name in models:
            raise ModelError(
                f"{model.name} has two models", where=f"{path} and {models[model.name].path}", mend="delete one"
            )
        models[model.name] = model
    missing = [t.full_name for t in tables if t.full_name not in models]
    if missing:
        raise ModelError(
            f"no model makes {', '.join(missing)}", where=str(directory), mend="write <layer>/<table>.sql for each"
        )
    check_output([(m.table, m.path, m.sql) for m in models.values()])
    return models


def order(models: Mapping[str, Model]) -> list[Model]:
    """Models so that each comes after those it reads.

    Raises:
        ModelError: They read each other in a circle; the message names the chain.
    """
    graph = {name: sorted(model.depends_on & models.keys()) for name, model in sorted(models.items())}
    try:
        return [models[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        # graphlib lists each before the one that reads it; people follow it from reader to read.
        chain = list(reversed(error.args[1]))
        raise ModelError(
            f"models read each other in a circle: {' → '.join(chain)}",
            where=str(models[chain[0]].path),
            mend="let one of them read an earlier layer instead",
        ) from None


def fingerprint(model: Model, identities: Mapping[str, str], engine: str = "duckdb") -> str:
    """SHA-256 over all a model's rows depend on: its SQL, its declaration, what its sources are, and the engine.

    Args:
        model: The model.
        identities: Version or fingerprint of every table it reads.
        engine: Who runs it.
    """
    declaration = [[c.name, str(c.type)] for c in model.table.columns]
    key, sources = list(model.table.key), sorted(identities.items())
    content = [RULES_OF_TRANSFORM, model.sha256, declaration, key, sources, engine]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _load(path: Path, name: str) -> Model:
    table = BY_NAME.get(name)
    if table is None or table.layer not in (Layer.SILVER, Layer.GOLD):
        raise ModelError(
            f"no silver or gold table {name} is declared",
            where=str(path),
            mend="declare it in lake/tables, or rename the file",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot be read: {error}", where=str(path)) from None
    sql, select = parse_select(path, text)
    return Model(name, path, sql, sources_of(table, path, select))


__all__ = ["BROKEN_RULES", "MODELS", "Model", "fingerprint", "load_models", "order"]
