"""Anybody's folder of DuckDB SELECTs: which tables they make, in what order, and of what columns."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import duckdb
import sqlglot
from sqlglot import exp

from lake.errors import ModelError
from lake.settings import EngineSettings
from sql.engines.duckdb import DuckDBEngine
from sql.model_check import DIALECT, parse_select


@dataclass(frozen=True, slots=True)
class Select:
    """One file of a folder.

    Args:
        name: Table it makes: ``a.b`` for ``a/b.sql``, ``b`` for ``b.sql``.
        path: The file.
        sql: The SELECT as written.
        reads: Names of the tables it reads, as written.
    """

    name: str
    path: Path
    sql: str
    reads: frozenset[str]


def load_folder(folder: Path, schema: Path | None) -> tuple[list[Select], dict[str, dict[str, str]]]:
    """The SELECTs of a folder in the order of their dependencies, and the columns of all tables.

    Args:
        folder: Holds one SELECT a file, at any depth.
        schema: CREATE TABLE statements, in DuckDB's SQL, of tables that no file makes.

    Returns:
        The SELECTs; and column name to DuckDB type, by table name.

    Raises:
        ModelError: With file and line: no SELECTs, one that does not parse or bind, two of one name, a cycle, a table
            that nobody makes, a schema that DuckDB refuses.
    """
    selects: dict[str, Select] = {}
    for path in sorted(folder.rglob("*.sql")):
        if schema is not None and path.resolve() == schema.resolve():
            continue
        one = _read(folder, path)
        if one.name in selects:
            raise ModelError(f"{one.name} is made twice", where=f"{path} and {selects[one.name].path}")
        selects[one.name] = one
    if not selects:
        raise ModelError("no .sql file lies there", where=str(folder), mend="name a folder with one SELECT a file")
    ordered = _ordered(selects)
    return ordered, _bind(ordered, schema)


def _read(folder: Path, path: Path) -> Select:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot be read: {error}", where=str(path)) from None
    sql, query = parse_select(path, text)
    own = {cte.alias for cte in query.find_all(exp.CTE)}
    tables = (".".join(part.name for part in table.parts) for table in query.find_all(exp.Table))
    name = ".".join(path.relative_to(folder).with_suffix("").parts)
    return Select(name, path, sql, frozenset(t for t in tables if t and t not in own))


def _ordered(selects: dict[str, Select]) -> list[Select]:
    graph = {name: sorted(one.reads & selects.keys()) for name, one in selects.items()}
    try:
        return [selects[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        chain = list(reversed(error.args[1]))
        raise ModelError(
            f"the files read each other in a circle: {' → '.join(chain)}", where=str(selects[chain[0]].path)
        ) from None


def _bind(selects: list[Select], schema: Path | None) -> dict[str, dict[str, str]]:
    with DuckDBEngine(EngineSettings(threads=1), Path("unused")) as engine:
        if schema is not None:
            _create(engine, schema)
        for one in selects:
            engine.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(one.name.rpartition('.')[0] or 'main')}")
            try:
                columns = engine.describe(one.sql)
            except ModelError as error:
                line = (error.where or "line 1").removeprefix("line ")
                mend = (
                    "give the columns of tables no file makes with --schema FILE" if "not exist" in error.what else None
                )
                raise ModelError(error.what, where=f"{one.path}:{line}", mend=mend) from None
            body = ", ".join(f"{_quoted(name)} {kind}" for name, kind in columns)
            engine.execute(f"CREATE OR REPLACE TABLE {'.'.join(map(_quoted, one.name.split('.')))} ({body})")
        rows = engine.query(
            "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY schema_name, table_name, column_index"
        ).to_pylist()
    types: dict[str, dict[str, str]] = {}
    for row in rows:
        name = row["table_name"] if row["schema_name"] == "main" else f"{row['schema_name']}.{row['table_name']}"
        types.setdefault(name, {})[row["column_name"]] = row["data_type"]
    return types


def _create(engine: DuckDBEngine, schema: Path) -> None:
    try:
        statements = sqlglot.parse(schema.read_text(encoding="utf-8"), read=DIALECT)
        for table in (t for s in statements if s is not None for t in s.find_all(exp.Table)):
            if table.db:
                engine.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(table.db)}")
        engine.connection.execute(schema.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot be read: {error}", where=str(schema)) from None
    except (duckdb.Error, sqlglot.errors.SqlglotError) as error:
        raise ModelError(str(error).splitlines()[0], where=str(schema)) from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
