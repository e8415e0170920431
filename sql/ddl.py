"""Tables in each target's own words: types, CREATE TABLE, and where a SELECT's rows go."""

from __future__ import annotations

from collections.abc import Mapping

from sql.table_names import table_name

# Column name to DuckDB type, in order.
Columns = Mapping[str, str]

# DuckDB's types in each target's words; DECIMAL(p,s) and VARCHAR[] are no part of a model's output.
_TYPES: dict[str, dict[str, str]] = {
    # STRICT tables know these only; docs/translation.md says how dates, moments and decimals lie in TEXT.
    "sqlite": {
        "VARCHAR": "TEXT",
        "BIGINT": "INTEGER",
        "INTEGER": "INTEGER",
        "BOOLEAN": "INTEGER",
        "DOUBLE": "REAL",
        "DATE": "TEXT",
        "TIMESTAMP": "TEXT",
        "TIMESTAMP WITH TIME ZONE": "TEXT",
        "DECIMAL": "TEXT",
    },
    "spark": {
        "VARCHAR": "STRING",
        "BIGINT": "BIGINT",
        "INTEGER": "INT",
        "BOOLEAN": "BOOLEAN",
        "DOUBLE": "DOUBLE",
        "DATE": "DATE",
        "TIMESTAMP": "TIMESTAMP_NTZ",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
        "DECIMAL": "DECIMAL",
    },
    "snowflake": {
        "VARCHAR": "VARCHAR",
        # NUMBER alone would hold 38 digits and come back as a decimal.
        "BIGINT": "NUMBER(19, 0)",
        "INTEGER": "NUMBER(10, 0)",
        "BOOLEAN": "BOOLEAN",
        "DOUBLE": "DOUBLE",
        "DATE": "DATE",
        "TIMESTAMP": "TIMESTAMP_NTZ(6)",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_TZ(6)",
        "DECIMAL": "NUMBER",
    },
}
_QUOTES = {"sqlite": '"', "spark": "`", "snowflake": ""}


def target_type(duckdb: str, target: str) -> str:
    """A DuckDB type in a target's words.

    Raises:
        KeyError: The target has no such type.
    """
    name, bracket, digits = duckdb.partition("(")
    word = _TYPES[target][name]
    return word if target == "sqlite" or not bracket else f"{word}({digits}"


def column_list(columns: Columns, target: str) -> str:
    """Names and types, a line each."""
    quote = _QUOTES[target]
    return ",\n".join(f"  {quote}{name}{quote} {target_type(kind, target)}" for name, kind in columns.items())


def create_schema(full_name: str, target: str) -> str:
    """A statement that makes a table's schema; empty where there are none, or the name has no layer."""
    layer, dot, _ = full_name.partition(".")
    return "" if target == "sqlite" or not dot else f"CREATE SCHEMA IF NOT EXISTS {layer};\n"


def create_empty(full_name: str, columns: Columns, target: str) -> str:
    """A statement that makes an empty table unless it is there."""
    name, body = quoted_name(full_name, target), column_list(columns, target)
    ending = {"sqlite": " STRICT", "spark": " USING DELTA", "snowflake": ""}[target]
    return f"CREATE TABLE IF NOT EXISTS {name} (\n{body}\n){ending};\n"


def create_table_as(full_name: str, columns: Columns, select: str, target: str) -> str:
    """Statements that make a table anew from a SELECT already in the target's dialect."""
    name = quoted_name(full_name, target)
    if target == "spark":
        return f"CREATE OR REPLACE TABLE {name} USING DELTA AS\n{select};\n"
    if target == "snowflake":
        return f"CREATE OR REPLACE TABLE {name} (\n{column_list(columns, target)}\n) AS\n{select};\n"
    empty = f"CREATE TABLE {name} (\n{column_list(columns, target)}\n) STRICT;\n"
    return f"DROP TABLE IF EXISTS {name};\n{empty}INSERT INTO {name}\n{select};\n"


def create_view_as(full_name: str, select: str, target: str) -> str:
    """Statements that make a view anew from a SELECT already in the target's dialect."""
    name = quoted_name(full_name, target)
    if target == "sqlite":
        return f"DROP VIEW IF EXISTS {name};\nCREATE VIEW {name} AS\n{select};\n"
    return f"CREATE OR REPLACE VIEW {name} AS\n{select};\n"


def quoted_name(full_name: str, target: str) -> str:
    """A table's name as it stands in a statement; Snowflake's stay bare and so case-insensitive."""
    quote = _QUOTES[target]
    return ".".join(f"{quote}{part}{quote}" for part in table_name(full_name, target).split("."))
