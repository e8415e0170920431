"""What cannot be carried is an error that names construct, file and line, and says what to write instead."""

from __future__ import annotations

import pytest

from lake.errors import ModelError
from sql.translate import TARGETS, translate
from tests.sql.translate.edges import TABLES
from tests.sql.translate.engines import DuckDB

# Refused everywhere: the construct on the second line, and the word of it the message must hold.
EVERYWHERE = [
    ("try_cast(v as integer)", "TRY_CAST"),
    ("regexp_matches(v, 'a')", "REGEXP"),
    ("v ~ 'a.*'", "REGEXP"),
    ("strftime(dt, '%Y')", "TIME_TO_STR"),
    ("[i, b]", "ARRAY"),
    ("{'a': i}", "STRUCT"),
    ("list_sum([i])", "list_sum"),
    ("v[1:2]", "BRACKET|SLICE"),
    ("current_date > dt", "CURRENT_DATE"),
    ("now() > tz", "now"),
    ("random() > f", "RAND"),
    ("i & 3", "BITWISE"),
    ("v collate nocase", "COLLATE"),
    ("dt between ts and tz and ts - ts = interval 1 day", "Sub|sub"),
    ("date_diff('week', dt, dt2)", "week"),
    ("date_diff('hour', dt, dt2)", "hour"),
    ("extract(epoch from ts) > 1", "EXTRACT by epoch"),
    ("extract(hour from dt)", "HOUR"),
    ("cast(v as float)", "CAST to REAL"),
    ("cast(i as tinyint) = cast(b as utinyint)", "UTINYINT"),
    ("cast(ts as time)", "TIME"),
    ("7.5 // d", "DECIMAL"),
    ("f % 2", "DOUBLE"),
    ("round(i, -1)", "ROUND"),
    ("dt + interval '1 month 2 days'", "INTERVAL"),
    ("lag(v ignore nulls) over (order by id)", "IGNORENULLS"),
    ("sum(d) over (order by id rows between 1 preceding and current row exclude ties)", "EXCLUDE"),
    ("i = any (select id from edges)", "ANY"),
    ("(i, b) in (select id, b from edges)", "type|IN"),
    ("coalesce(v, i)", "VARCHAR"),
    ("bo = 1", "BOOLEAN"),
    ("cast(f as varchar)", "VARCHAR"),
    ("cast(ts as varchar)", "VARCHAR"),
    ("cast(v as timestamp)", "VARCHAR"),
]
AGGREGATES = [
    ("any_value(v)", "IGNORENULLS"),
    ("string_agg(v, ',' order by id)", "GROUP_CONCAT|ORDER|GROUPCONCAT"),
    ("array_agg(v)", "ARRAY"),
    ("arg_max(v, id)", "ARG_MAX|ARGMAX"),
    ("mode(v)", "MODE"),
    ("median(d)", "DECIMAL"),
    ("quantile_cont(f, [0.1, 0.9])", "ARRAY"),
    ("quantile_disc(f, 0.5)", "PERCENTILE_?DISC"),
    ("approx_count_distinct(v)", "APPROX"),
    ("count(distinct (i, b))", "TUPLE|type|DISTINCT"),
    ("max(v, 2)", "MAX"),
    ("count_if(distinct bo)", "DISTINCT"),
]
SELECTS = [
    ("select distinct on (g) g, id\nfrom edges", 1, "DISTINCT ON"),
    ("select e.id\nfrom edges as e semi join silver.others as o on e.id = o.id", 2, "SEMI"),
    ("select e.id\nfrom edges as e anti join silver.others as o on e.id = o.id", 2, "ANTI"),
    ("select e.id\nfrom edges as e asof join silver.others as o on e.id >= o.id", 2, "ASOF"),
    ("select e.id\nfrom edges as e,\nlateral (select e.id as x) as l", 3, "LATERAL|not known|FROM"),
    ("with recursive n as (select 1 as x union all select x + 1 from n where x < 3)\nselect x from n", 1, "RECURSIVE"),
    ("select id\nfrom edges\nusing sample 10%", 1, "SAMPLE"),
    ("select x\nfrom unnest([1, 2]) as t(x)", 2, "UNNEST"),
    ("select x\nfrom range(3) as t(x)", 2, "FROM"),
    ("select g from edges\nunion by name\nselect g from silver.others", 1, "BY NAME"),
    ("select g from edges\nexcept all\nselect g from silver.others", 1, "EXCEPT ALL"),
    ("select g from edges union select g from edges intersect select g from silver.others", 1, "INTERSECT"),
    ("select id from edges\nwhere id in (\n  select id from edges where v similar to 'a')", 3, "SIMILAR|REGEXP"),
    ("select v\nfrom edges\nwhere nowhere = 1", 1, "DuckDB refuses"),
    ("select v from edges\nwhere", 2, "does not parse"),
    ("select lower(v) as v, count(*) as n\nfrom edges\ngroup by v", 3, "alias v"),
    ("select id from edges as e\nwhere id > 1;\nselect 1", 1, "one SELECT"),
    ("delete from edges", 1, "one SELECT"),
    ("select g, count(*) as n\nfrom edges\ngroup by all", 1, "GROUP BY ALL"),
    ("select id\nfrom edges\nwindow w as (order by id)", 1, "WINDOWS"),
    ("select id, id from edges", 1, "two columns named id"),
]
# Refused by some, with the reason.
SOME = [
    ("select id,\nround(f, 2) as x from edges", ("snowflake", "spark"), "ROUND of a DOUBLE"),
    ("select id,\ncast(f as decimal(9, 2)) as x from edges", ("snowflake", "spark"), "DOUBLE to DECIMAL"),
    ("select id,\ncast(f as bigint) as x from edges", ("snowflake",), "DOUBLE to BIGINT"),
    ("select id,\nsubstr(v, s) as x from edges", ("snowflake", "spark"), "SUBSTRING"),
    ("select id,\nsubstr(v, 0, 2) as x from edges", ("snowflake", "spark"), "SUBSTRING"),
    ("select id,\nv like u as x from edges", ("spark",), "computed pattern"),
    ("select id,\nltrim(v) as x from edges", ("snowflake",), "TRIM of one side"),
    ("select id,\ndate_trunc('week', dt) as x from edges", ("snowflake",), "week"),
    ("select id,\ndate_diff('hour', ts, tz) as x from edges", ("snowflake", "spark"), "hour"),
    ("select id,\nmake_date(2024, 2, s) as x from edges", ("snowflake",), "MAKE_DATE"),
    ("select id,\nsum(distinct d) over () as x from edges", ("sqlite", "snowflake", "spark"), "DISTINCT over a window"),
    ("select id,\n(select price from silver.others) as x from edges", ("sqlite",), "several rows"),
    ("select id,\nsum(b) over (order by id rows between 2 preceding and 1 preceding) as x from edges", ("sqlite",),
     "without its own row"),
    ("select id,\n99999999999999999999 as x from edges", ("sqlite", "spark"), "beyond 64 bits"),
    ("select id,\nw * cast(d as decimal(38, 20)) as x from edges", ("snowflake", "spark"), "decimals"),
    ("select id,\nln(f) as x from edges", ("snowflake", "spark"), "LN"),
    ("select id,\nmedian(f) over () as x from edges", ("sqlite", "snowflake", "spark"), "quantile over a window"),
    ("select g, rank() over (order by sum(d)) as x\nfrom edges group by rollup (g)", ("sqlite", "snowflake", "spark"),
     "GROUPING SETS"),
    ("select g, sum(distinct d) as x\nfrom edges group by g", ("snowflake",), "DISTINCT values"),
]  # fmt: skip


@pytest.fixture(scope="module")
def schema(duck: DuckDB) -> dict[str, dict[str, str]]:
    for name, table in TABLES.items():
        duck.load(name, table)
    return {name: duck.types(name) for name in TABLES}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("expression", "words"), EVERYWHERE)
def test_an_expression_nobody_carries_is_named_with_its_line(
    expression: str, words: str, target: str, schema: dict[str, dict[str, str]]
) -> None:
    refused(f"select\n{expression} as x\nfrom edges", target, schema, words)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("aggregate", "words"), AGGREGATES)
def test_an_aggregate_nobody_carries_is_named_with_its_line(
    aggregate: str, words: str, target: str, schema: dict[str, dict[str, str]]
) -> None:
    refused(f"select\n{aggregate} as x\nfrom edges", target, schema, words)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("select", "line", "words"), SELECTS)
def test_a_select_nobody_carries_is_named_with_its_line(
    select: str, line: int, words: str, target: str, schema: dict[str, dict[str, str]]
) -> None:
    refused(select, target, schema, words, line)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("select", "targets", "words"), SOME)
def test_what_some_do_otherwise_is_refused_by_them_only(
    select: str, targets: tuple[str, ...], words: str, target: str, schema: dict[str, dict[str, str]]
) -> None:
    if target in targets:
        refused(select, target, schema, words, None)
    else:
        translate(select, target, schema)


def refused(select: str, target: str, schema: dict[str, dict[str, str]], words: str, line: int | None = 2) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        translate(select, target, schema, where="models/x.sql")
    assert caught.value.what.startswith(f"cannot be carried to {target}: ")
    assert caught.value.mend
    assert "\n" not in str(caught.value)
    if line is not None:
        assert caught.value.where == f"models/x.sql:{line}"
    else:
        assert str(caught.value.where).startswith("models/x.sql:")


def test_a_target_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(ModelError, match=r"no target oracle.*sqlite, snowflake, spark"):
        translate("select 1 as x", "oracle", {})
