"""Everything an allow-list names has run on its target and given DuckDB's rows."""

from __future__ import annotations

import traceback

import pytest
from sqlglot import exp

from lake.errors import ModelError
from sql.dialects.refusal import NotCarriedError
from sql.dialects.source import read
from sql.dialects.target import Target, Transform, apply
from sql.dialects.targets import BY_NAME
from tests.sql.translate.cases import CASES, Case
from tests.sql.translate.conftest import TARGETS, Comparison
from tests.sql.translate.edges import TABLES
from tests.sql.translate.engines import DuckDB

# Constructs only a transform that refuses sees.
REFUSED_BY_ALL = (
    "99999999999999999999",
    "sum(distinct s) over ()",
    "(select price from silver.others)",
    "sum(s) over (order by id rows between 2 preceding and 1 preceding)",
    "(select count(*) from (select g from edges union select g from edges intersect select g from edges))",
)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_are_those_of_duckdb_or_the_select_is_refused(case: Case, target: str, same_rows: Comparison) -> None:
    if target in case.refused:
        with pytest.raises(ModelError, match=f"cannot be carried to {target}"):
            same_rows(case.select, TABLES, target)
    else:
        same_rows(case.select, TABLES, target)


@pytest.mark.parametrize("target", ["sqlite", "snowflake", "spark"])
def test_nothing_on_an_allow_list_lacks_a_select_that_runs(target: str, duck: DuckDB) -> None:
    for name, table in TABLES.items():
        duck.load(name, table)
    schema = {name: duck.types(name) for name in TABLES}
    wanted = BY_NAME[target]
    seen = _held(wanted, [read(case.select, schema) for case in CASES if target not in case.refused])
    listed = {(kind.__name__, part) for kind, parts in wanted.nodes.items() for part in (parts or {""})}
    never = (listed | {("call", name) for name in wanted.functions}) - seen
    assert not never, f"{target} allows, but nothing here shows: {sorted(never)}"


def _held(target: Target, queries: list[exp.Query]) -> set[tuple[str, str]]:
    held: set[tuple[str, str]] = set()
    for query in queries:
        for node in target.carry(query).walk():
            if isinstance(node, exp.Anonymous):
                held.add(("call", node.name))
                continue
            given = {key for key, value in node.args.items() if value not in (None, False, [], "")}
            held |= {(type(node).__name__, part) for part in given or {""}} | {(type(node).__name__, "")}
    return held


@pytest.mark.parametrize("target", ["sqlite", "snowflake", "spark"])
def test_every_transform_changes_or_refuses_a_select(target: str, duck: DuckDB) -> None:
    for name, table in TABLES.items():
        duck.load(name, table)
    schema = {name: duck.types(name) for name in TABLES}
    waiting = list(BY_NAME[target].transforms)
    for select in (*(case.select for case in CASES), *(f"select {text} as x from edges" for text in REFUSED_BY_ALL)):
        try:
            _strike_off(waiting, BY_NAME[target], read(select, schema))
        except NotCarriedError as refused:
            # A transform that refuses raised from inside; the others saw nothing of this one.
            names = {frame.name for frame in traceback.extract_tb(refused.__traceback__)}
            waiting = [transform for transform in waiting if transform.__name__ not in names]
    assert not waiting, [transform.__name__ for transform in waiting]


def _strike_off(waiting: list[Transform], target: Target, query: exp.Expr) -> None:
    for transform in target.transforms:
        if transform in waiting:
            before = query.copy()
            query = apply(query, transform)
            if query != before:
                waiting.remove(transform)
        else:
            query = apply(query, transform)
