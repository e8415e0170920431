"""Whether a contract fits its table: dataset, columns, types, and the columns its SQL reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lake.table import Layer, Table
from lake.tables import BRONZE, GOLD, SILVER
from sql.engines.duckdb import duckdb_type
from tasks.contract_keys import COLUMN_KEYS, TOP_KEYS, Found, kinds_at, missing_keys, unknown_keys, wrong_body
from tasks.contract_yaml import Block, Contract, DeclaredCheck, Items

DATA_SOURCE = "lakehouse"
"""Soda's name of the engine; a dataset is data source, schema (our layer) and view."""

TABLES = {table.full_name: table for table in (*BRONZE, *SILVER, *GOLD)}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def dataset_of(table: Table) -> str:
    """Soda's name of a table."""
    return f"{DATA_SOURCE}/{table.layer}/{table.name}"


def top_keys(contract: Contract, table: Table) -> Found:
    """The file says dataset, columns and checks, of this table and nothing else."""
    root = contract.root
    yield from unknown_keys(root, TOP_KEYS, "a contract")
    yield from missing_keys(root, TOP_KEYS, "a contract")
    if root.get("dataset") not in (None, dataset_of(table)):
        yield root.line_of("dataset"), f"dataset must be {dataset_of(table)}, not {root['dataset']}"
    for place in ("columns", "checks"):
        if root.get(place) is not None and not (isinstance(root[place], Items) and root[place]):
            yield root.line_of(place), f"{place!r} must be a list with something in it"


def columns_as_declared(contract: Contract, table: Table) -> Found:
    """The contract's columns are the table's, in stored order, with their types."""
    written = contract.root.get("columns")
    if not isinstance(written, Items):
        return
    for item, line in zip(written, written.lines, strict=True):
        if not isinstance(item, Block):
            yield line, f"a column needs keys and values, not {item!r}"
    names = [str(c.get("name")) for c in contract.columns]
    for column in contract.columns:
        yield from unknown_keys(column, COLUMN_KEYS, "a column")
        yield from missing_keys(column, ("name", "data_type"), "a column")
        name = str(column.get("name"))
        if name not in table.column_names:
            yield column.line_of("name"), f"{table.full_name} has no column {name!r}"
        else:
            yield from _type_as_declared(column, table.column(name).type)
    for name, times in Counter(names).items():
        if times > 1:
            yield contract.root.line_of("columns"), f"column {name!r} stands here {times} times"
    for name in table.column_names:
        if name not in names:
            yield contract.root.line_of("columns"), f"column {name!r} of {table.full_name} is missing"
    if sorted(names) == sorted(table.column_names) and tuple(names) != table.column_names:
        order = ", ".join(table.column_names)
        yield contract.root.line_of("columns"), f"columns stand in another order than stored: {order}"


def soda_type(kind: pa.DataType) -> dict[str, str | int]:
    """How a contract writes a declared type: DuckDB's name, precision and scale apart as Soda wants them."""
    name = duckdb_type(kind)
    if parts := _DECIMAL.fullmatch(name):
        return {"data_type": "DECIMAL", "numeric_precision": int(parts[1]), "numeric_scale": int(parts[2])}
    return {"data_type": name}


def _type_as_declared(column: Block, kind: pa.DataType) -> Found:
    wanted = soda_type(kind)
    for key in ("data_type", "numeric_precision", "numeric_scale"):
        # `type` is compared too: YAML's 18.0 and "18" are not 18 for Soda, which then skips the comparison.
        if column.get(key) != wanted.get(key) or type(column.get(key)) is not type(wanted.get(key)):
            right = f"must be {wanted[key]}" if key in wanted else "has no place"
            yield column.line_of(key), f"{key!r} of column {column.get('name')!r} {right}, as declared in lake/tables"


def checks_are_well_formed(contract: Contract, table: Table) -> Found:  # noqa: ARG001 - all rules look alike
    """Every item of a `checks` list is one check of a known type with the keys that type needs."""
    for written, column, line in _check_lists(contract):
        if not isinstance(written, Items) or not written:
            yield line, f"'checks' of {_place(column)} must be a list with something in it"
            continue
        for item, item_line in zip(written, written.lines, strict=True):
            if not isinstance(item, Block) or len(item) != 1:
                yield item_line, f"a check is one type with its keys, not {item!r}; mind the colon"
    for check in contract.checks:
        kind = kinds_at(check.column).get(check.type)
        if kind is None:
            place = "a column" if check.column else "the table"
            known = Block(check.line)
            known[check.type] = None
            yield from unknown_keys(known, kinds_at(check.column), f"the checks of {place}")
            continue
        if not check.is_block:
            yield check.line, f"a {check.type!r} check takes keys and values, nothing else behind the colon"
        yield from wrong_body(check, kind)


def checks_are_told_apart(contract: Contract, table: Table) -> Found:  # noqa: ARG001 - all rules look alike
    """Checks of one type in one place carry different qualifiers; a lone one needs none."""
    groups = Counter((c.column, c.type) for c in contract.checks)
    names = Counter(c.name for c in contract.checks)
    for check in contract.checks:
        kind = kinds_at(check.column).get(check.type)
        lone = groups[check.column, check.type] == 1
        if names[check.name] > 1:
            yield check.line, f"{check.name!r} stands here {names[check.name]} times; give each its qualifier"
        elif not lone and check.qualifier is None:
            yield check.line, f"{check.name!r} needs a 'qualifier': it is not the only one here"
        elif lone and check.qualifier is not None and kind is not None and "qualifier" not in kind.required:
            yield check.body.line_of("qualifier"), f"{check.name!r} needs no qualifier: it is the only one here"


def sql_reads_known_columns(contract: Contract, table: Table) -> Found:
    """Columns named by checks exist, expressions and queries parse and read this layer's tables only."""
    for check in contract.checks:
        body, line = check.body, check.line
        named = [body.get("column")] if check.type == "freshness" else []
        for name in (*named, *(body["columns"] if isinstance(body.get("columns"), Items) else ())):
            if name is not None and name not in table.column_names:
                yield line, f"{table.full_name} has no column {name!r}"
        for key in ("expression", "query"):
            if isinstance(body.get(key), str):
                for message in _sql_problems(body[key], key, table.full_name):
                    yield body.line_of(key), message
        reference = body.get("valid_reference_data")
        if isinstance(reference, Block):
            yield from _wrong_reference(reference, check, table)


@lru_cache(maxsize=512)
def _sql_problems(sql: str, key: str, full_name: str) -> tuple[str, ...]:
    try:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
    except SqlglotError as error:
        return (f"{key!r} is no SQL: {str(error).partition('.')[0]}",)
    return tuple(_unknown_names(tree, key, full_name))


def _unknown_names(tree: exp.Expr, key: str, full_name: str) -> Iterator[str]:
    read = {full_name}
    if key == "query":
        ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
        read = {f"{t.db}.{t.name}" for t in tree.find_all(exp.Table) if t.db or t.name not in ctes}
        layer = full_name.partition(".")[0]
        for name in sorted(n for n in read if n not in TABLES or not n.startswith(f"{layer}.")):
            yield f"the query reads {name}; a gate sees the {layer} tables only"
        if full_name not in read:
            yield f"the query does not read {full_name}, so it checks nothing"
    known = {column for name in read & TABLES.keys() for column in TABLES[name].column_names}
    known |= {alias.alias for alias in tree.find_all(exp.Alias, exp.TableAlias)}
    named = {column.name for column in tree.find_all(exp.Column)}
    for column in sorted(named - known):
        yield f"{full_name} has no column {column!r}"
    if not named:
        yield f"the {key} reads no column: a check without effect"


def _wrong_reference(reference: Block, check: DeclaredCheck, table: Table) -> Found:
    source, _, rest = str(reference.get("dataset")).partition("/")
    target = TABLES.get(rest.replace("/", ".", 1))
    if source != DATA_SOURCE or target is None or target.layer is not table.layer:
        yield reference.line_of("dataset"), f"dataset must be {DATA_SOURCE}/{table.layer}/<table> of a declared table"
    elif reference.get("column") not in target.column_names:
        yield reference.line_of("column"), f"{target.full_name} has no column {reference.get('column')!r}"
    elif check.column in table.column_names and (
        target.column(str(reference["column"])).type != table.column(str(check.column)).type
    ):
        yield reference.line, f"{check.column!r} and {target.full_name}.{reference['column']} differ in type"


def _check_lists(contract: Contract) -> Iterator[tuple[object, str | None, int]]:
    if "checks" in contract.root:
        yield contract.root["checks"], None, contract.root.line_of("checks")
    for column in contract.columns:
        if "checks" in column:
            yield column["checks"], str(column.get("name")), column.line_of("checks")


def _place(column: str | None) -> str:
    return f"column {column!r}" if column else "the contract"


def is_served_by_models(table: Table) -> bool:
    """Whether a model built the rows, so that what the declaration promises must hold in every row."""
    return table.layer in (Layer.SILVER, Layer.GOLD)
