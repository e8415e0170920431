"""A contract in Spark's words: the contracts are written for DuckDB, and stay the one place where checks are declared.

Types, SQL and dataset are translated at run time. What is not listed here is refused: a check that is carried over
untranslated, or that Soda passes over because its key is misspelt, would open the gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lake.errors import ContractError

DATA_SOURCE = "lakehouse"
"""Soda's name of the session; a dataset is data source, schema and table."""

_TYPES = {
    "BIGINT": "bigint",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DECIMAL": "decimal",
    "DOUBLE": "double",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "VARCHAR": "string",
    "VARCHAR[]": "array<string>",
}
_TOP_KEYS = frozenset({"dataset", "checks", "columns"})
_COLUMN_KEYS = frozenset({"name", "data_type", "numeric_precision", "numeric_scale", "checks"})
_CHECK_KEYS = {
    "schema": frozenset(),
    "row_count": frozenset({"threshold"}),
    "failed_rows": frozenset({"qualifier", "expression"}),
    "missing": frozenset(),
    "duplicate": frozenset({"columns"}),
    "invalid": frozenset({"qualifier", "valid_min", "valid_max", "valid_values"}),
}
_THRESHOLD_KEYS = frozenset({"must_be_greater_than", "level"})
_MEND = "a check for Spark uses the keys that spark/job/contract_on_spark.py lists"

Identity = tuple[str | None, str, str | None]


@dataclass(frozen=True)
class SparkContract:
    """A contract that Soda can verify on Spark.

    Args:
        file: Where it was read.
        name: The table it is for, without its layer.
        root: Everything it says, translated; the dataset is set with `on`.
        checks: What tells each declared check apart: column, type, qualifier.
        types: Spark's type of each column, in order.
    """

    file: Path
    name: str
    root: Mapping[str, Any]
    checks: tuple[Identity, ...]
    types: Mapping[str, str]

    def on(self, schema: str) -> str:
        """The contract as YAML (JSON is YAML), for the table of its name in a schema."""
        import json

        return json.dumps({**self.root, "dataset": f"{DATA_SOURCE}/{schema}/{self.name}"})


def read_contract(file: Path) -> SparkContract:
    """A contract file, translated.

    Raises:
        ContractError: It cannot be read, says something unknown here, or its SQL does not parse.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        root = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ContractError(f"cannot be read: {error.strerror}", where=str(file), mend="--contracts DIR") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ContractError(f"not valid YAML: {str(error).splitlines()[0]}", where=str(file)) from None
    columns = _mapping(root, _TOP_KEYS, file, "a contract").get("columns")
    written = {c["name"]: c for c in _items(columns, file) if "name" in _mapping(c, _COLUMN_KEYS, file, "a column")}
    declared = {name: str(column.get("data_type")) for name, column in written.items()}
    checks = list(_translated(root.get("checks"), declared, file))
    per_column = {name: list(_translated(c["checks"], declared, file)) for name, c in written.items() if "checks" in c}
    spark_columns = [
        {**column, "data_type": _spark_type(column, file), **({"checks": per_column[n]} if n in per_column else {})}
        for n, column in written.items()
    ]
    return SparkContract(
        file,
        str(root.get("dataset")).rpartition("/")[2],
        {"columns": spark_columns, "checks": checks},
        (*_identities(checks, None), *(i for name, own in per_column.items() for i in _identities(own, name))),
        {column["name"]: _type_with_parameters(column) for column in spark_columns},
    )


def spark_sql(expression: str, declared: Mapping[str, str]) -> str:
    """A condition in Spark's SQL.

    Args:
        expression: In DuckDB's SQL.
        declared: DuckDB's type of each column.

    Raises:
        ValueError: It does not parse.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    def is_of(node: exp.Expr | None, ending: str) -> bool:
        return isinstance(node, exp.Column) and declared.get(node.name, "").endswith(ending)

    def translated(node: exp.Expr) -> exp.Expr:
        # DuckDB counts characters and elements by one name.
        if isinstance(node, exp.Length) and (isinstance(node.this, exp.ArrayFilter) or is_of(node.this, "[]")):
            return exp.ArraySize(this=node.this)
        # Days between dates; Spark would give an interval.
        if isinstance(node, exp.Sub) and is_of(node.this, "DATE") and is_of(node.expression, "DATE"):
            return exp.Anonymous(this="DATEDIFF", expressions=[node.this, node.expression])
        return node

    try:
        tree = sqlglot.parse_one(expression, dialect="duckdb")
    except SqlglotError as error:
        raise ValueError(str(error).partition(".")[0]) from None
    return tree.transform(translated).sql(dialect="spark")


def _translated(checks: object, declared: Mapping[str, str], file: Path) -> Iterator[dict[str, Any]]:
    for item in _items(checks, file):
        for kind, body in _mapping(item, frozenset(_CHECK_KEYS), file, "a list of checks").items():
            keys = _mapping({} if body is None else body, _CHECK_KEYS[kind], file, f"check {kind!r}")
            _mapping(keys.get("threshold", {}), _THRESHOLD_KEYS, file, "a threshold")
            if "expression" not in keys:
                yield {kind: body}
                continue
            try:
                yield {kind: {**keys, "expression": spark_sql(str(keys["expression"]), declared)}}
            except ValueError as error:
                where = f"{file}: {keys.get('qualifier', kind)}"
                raise ContractError(f"'expression' is no SQL: {error}", where=where) from None


def _identities(checks: list[dict[str, Any]], column: str | None) -> Iterator[Identity]:
    for check in checks:
        for kind, body in check.items():
            yield column, kind, (body or {}).get("qualifier")


def _spark_type(column: Mapping[str, Any], file: Path) -> str:
    declared = column.get("data_type")
    if declared not in _TYPES:
        known = ", ".join(_TYPES)
        raise ContractError(f"type of column {column['name']}: {declared!r} is none of {known}", where=str(file))
    return _TYPES[declared]


def _type_with_parameters(column: Mapping[str, Any]) -> str:
    if column["data_type"] != "decimal":
        return str(column["data_type"])
    return f"decimal({column.get('numeric_precision')},{column.get('numeric_scale')})"


def _mapping(written: object, known: frozenset[str], file: Path, what: str) -> dict[str, Any]:
    if not isinstance(written, dict):
        raise ContractError(f"{what} needs keys and values, not {written!r}", where=str(file))
    for key in written:
        if key not in known:
            raise ContractError(f"{key!r} has no place in {what}", where=str(file), mend=_MEND)
    return written


def _items(written: object, file: Path) -> list[Any]:
    if not isinstance(written, list) or not written:
        raise ContractError(f"expected a list with something in it, not {written!r}", where=str(file))
    return written
