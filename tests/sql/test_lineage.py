"""Column lineage: from every mart's columns to bronze, through what the SQL says and nothing else."""

from __future__ import annotations

import json
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cli import commands_lineage
from lake.errors import BadInputError, ModelError
from lake.tables import BRONZE, BY_NAME, MARTS, SILVER, table
from sql.lineage import ColumnLineage, LineageNode, lineage, nodes, origins, to_json, to_mermaid
from sql.model import Model

COLUMNS = [f"{t.full_name}.{c.name}" for t in (*SILVER, *MARTS) for c in t.columns]
BRONZE_COLUMNS = {f"{t.full_name}.{name}" for t in BRONZE for name in (*t.column_names, "*")}
SECONDS_FOR_ALL = 10


@pytest.fixture(scope="module")
def traced(models: dict[str, Model]) -> ColumnLineage:
    return ColumnLineage(models)


def of_sql(sql: str, column: str) -> LineageNode:
    """Lineage of a column of ``gold.revenue`` as if `sql` made it; it reads bronze as no model would."""
    model = Model("gold.revenue", Path("sql/models/gold/revenue.sql"), sql, frozenset())
    return lineage({"gold.revenue": model}, f"gold.revenue.{column}")


@pytest.mark.parametrize("column", COLUMNS)
def test_the_lineage_of_every_column_ends_in_bronze_columns_only(traced: ColumnLineage, column: str) -> None:
    root = traced.of(column)
    ends = {node.column for node in nodes(root) if not node.children}
    assert ends
    assert ends == origins(root)
    assert ends <= BRONZE_COLUMNS


def test_all_lineage_of_all_models_takes_seconds(models: dict[str, Model]) -> None:
    began, traced = time.monotonic(), ColumnLineage(models)
    for column in COLUMNS:
        origins(traced.of(column))
    assert time.monotonic() - began < SECONDS_FOR_ALL


def test_every_node_inside_a_model_says_where_and_what_makes_it(traced: ColumnLineage) -> None:
    for column in COLUMNS:
        for node in nodes(traced.of(column)):
            if node.path is not None and not node.column.endswith(".*"):
                assert node.expression
                assert node.line is not None
                assert 1 <= node.line <= len(node.path.read_text().splitlines()), node.column
                assert node.where == f"{node.path.relative_to(Path(__file__).parents[2])}:{node.line}"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("gold.daily_kpis.net_revenue", {"bronze.payments.amount", "bronze.refunds.amount"}),
        # Generated dates lead to what bounds them.
        ("gold.daily_kpis.kpi_date", {"bronze.events.occurred_at"}),
        ("gold.revenue.revenue_month", {
            "bronze.invoices.issued_at", "bronze.payments.paid_at", "bronze.refunds.refunded_at",
            "bronze.subscriptions.ended_at", "bronze.subscriptions.started_at",
        }),
        # Counted rows lead to the rows of the table.
        ("gold.daily_kpis.sessions", {"bronze.sessions.*"}),
        ("gold.conversion_funnel.step_number", {"bronze.users.*"}),
        # What a zero in the other SELECTs of a UNION only fills.
        ("gold.channel_performance.spend", {"bronze.marketing_spend.amount"}),
        ("gold.channel_performance.new_users", {"bronze.users.*"}),
        ("gold.customer_health.mrr", {"bronze.plans.monthly_price", "bronze.subscriptions.ended_at"}),
        ("silver.payments.is_successful", {"bronze.payments.status"}),
        ("silver.payments._broken_rules", {
            "bronze.payments.payment_id", "bronze.payments.invoice_id", "bronze.payments.paid_at",
            "bronze.payments.amount", "bronze.payments.status", "bronze.payments.method", "bronze.invoices.invoice_id",
        }),
        ("silver.users.*", {"bronze.users.*"}),
        ("bronze.users.country", {"bronze.users.country"}),
    ],
)  # fmt: skip
def test_a_column_comes_from_the_bronze_columns_in_its_expressions(
    traced: ColumnLineage, column: str, expected: set[str]
) -> None:
    assert origins(traced.of(column)) == expected


def test_a_metric_that_names_one_source_comes_from_it(traced: ColumnLineage) -> None:
    for mart in MARTS:
        for column in mart.columns:
            if column.source in BY_NAME:
                tables = {n.column.rpartition(".")[0] for n in nodes(traced.of(f"{mart.full_name}.{column.name}"))}
                read = {name for name in tables if name.startswith("silver.") and ":" not in name}
                # customers_end counts subscriptions whose plan costs something.
                assert column.source in read or column.name == "customers_end", (mart.full_name, column.name)


def test_the_steps_lead_from_the_mart_through_its_expressions_to_bronze(traced: ColumnLineage) -> None:
    node, steps = traced.of("gold.daily_kpis.collected"), []
    while True:
        steps.append((node.column, node.expression))
        if not node.children:
            break
        [node] = node.children
    assert steps == [
        ("gold.daily_kpis.collected", "CAST(COALESCE(payments.collected, 0) AS DECIMAL(38, 2))"),
        ("gold.daily_kpis:payments.collected", "SUM(payments.amount)"),
        ("silver.payments.amount", "received.amount"),
        ("silver.payments:received.amount", "payments.amount"),
        ("bronze.payments.amount", None),
    ]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select (select max(amount) from bronze.refunds) as a", {"bronze.refunds.amount"}),
        ("select (select max(r.amount + p.amount) from bronze.refunds as r where r.payment_id = p.payment_id) as a "
         "from bronze.payments as p", {"bronze.refunds.amount", "bronze.payments.amount"}),
        ("select amount as a from (select amount from bronze.refunds) as r", {"bronze.refunds.amount"}),
        ("(select amount as a from bronze.refunds) union all (select amount from bronze.payments)",
         {"bronze.refunds.amount", "bronze.payments.amount"}),
        ("select b as a from (select amount as b from bronze.refunds union select null "
         "union select cast(0 as decimal(18, 2)))", {"bronze.refunds.amount"}),
        ("with r as (select * from bronze.refunds) select amount as a from r", {"bronze.refunds.amount"}),
        ("select count(*) - count(distinct u.country) as a from bronze.users as u",
         {"bronze.users.*", "bronze.users.country"}),
        # A left join adds no rows of its own, an inner one chooses together.
        ("select count(*) as a from bronze.users as u left join bronze.refunds as r on true", {"bronze.users.*"}),
        ("select count(*) as a from bronze.users as u inner join bronze.refunds as r on true",
         {"bronze.users.*", "bronze.refunds.*"}),
        ("select sum(amount) over (partition by reason order by refunded_at) as a from bronze.refunds",
         {"bronze.refunds.amount", "bronze.refunds.reason", "bronze.refunds.refunded_at"}),
        ("select v.n + amount as a from bronze.refunds, (values (1)) as v(n)", {"bronze.refunds.amount"}),
    ],
)  # fmt: skip
def test_lineage_follows(sql: str, expected: set[str]) -> None:
    # The column is called what the mart calls one of its own.
    assert origins(of_sql(f"select a as invoiced from ({sql}) as made", "invoiced")) == expected


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("with recursive n as (select 1 as a union all select a + 1 from n where a < 3) select a as invoiced from n",
         "cannot follow WITH RECURSIVE"),
        ("select amount as invoiced from bronze.refunds union all by name select 1 as invoiced", "UNION BY NAME"),
        ("select a as invoiced\nfrom bronze.refunds, unnest([1, 2]) as u(a)", "cannot follow UNNEST"),
        ("select nonsense as invoiced from bronze.refunds", "nonsense"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused_with_its_file(sql: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        of_sql(sql, "invoiced")
    assert str(caught.value.where).startswith("sql/models/gold/revenue.sql")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("gold.daily_kpis.net_revenu", "has no column 'net_revenu'; did you mean net_revenue"),
        ("gold.daily_kpi.net_revenue", "no table 'gold.daily_kpi'; did you mean gold.daily_kpis"),
        ("bronze.users.land", "bronze.users has no column 'land'"),
        ("net_revenue", "'net_revenue' is no column"),
        ("gold.daily_kpis", "'gold.daily_kpis' is no column"),
        ("", "'' is no column"),
        ("quarantine.bronze_users.payload", "no model makes quarantine.bronze_users"),
    ],
)
def test_an_unknown_table_or_column_is_told_with_near_names(traced: ColumnLineage, column: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        traced.of(column)


def test_json_holds_the_whole_tree(traced: ColumnLineage) -> None:
    root = traced.of("silver.payments.is_successful")
    assert json.loads(json.dumps(to_json(root))) == {
        "column": "silver.payments.is_successful",
        "where": "sql/models/silver/payments.sql:29",
        "expression": "received.status = 'succeeded'",
        "children": [{
            "column": "silver.payments:received.status",
            "where": "sql/models/silver/payments.sql:10",
            "expression": "NULLIF(LOWER(TRIM(payments.status)), '')",
            "children": [
                {"column": "bronze.payments.status", "where": None, "expression": None, "children": []}
            ],
        }],
    }  # fmt: skip


def test_the_diagram_shows_table_columns_from_bronze_to_the_one_asked_for(traced: ColumnLineage) -> None:
    assert to_mermaid(traced.of("gold.daily_kpis.signup_rate")) == (
        "flowchart LR\n"
        '  c0["gold.daily_kpis.signup_rate"]\n'
        '  c1["silver.events.event_type"]\n'
        '  c2["bronze.events.event_type"]\n'
        '  c3["silver.users.*"]\n'
        '  c4["bronze.users.*"]\n'
        "  c1 --> c0\n"
        "  c3 --> c0\n"
        "  c2 --> c1\n"
        "  c4 --> c3\n"
    )


def test_the_diagram_of_every_mart_column_ends_in_its_origins(traced: ColumnLineage) -> None:
    for mart in MARTS:
        for name in mart.column_names:
            root = traced.of(f"{mart.full_name}.{name}")
            text = to_mermaid(root)
            assert origins(root) == {line.split('"')[1] for line in text.splitlines() if '"bronze.' in line}


def test_the_command_prints_a_line_a_step_and_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = StringIO()
    monkeypatch.setattr(commands_lineage, "answers", Console(file=printed, width=40))
    commands_lineage.lineage("gold.customer_health.as_of_date")
    commands_lineage.lineage("gold.customer_health.health_score")
    lines = printed.getvalue().splitlines()
    assert lines[:2] == [
        "gold.customer_health.as_of_date = figures.as_of_date   sql/models/gold/customer_health.sql:109",
        "  gold.customer_health:figures.as_of_date = as_of.as_of_date   sql/models/gold/customer_health.sql:65",
    ]
    assert lines[6].strip() == "bronze.events.occurred_at"
    second = lines[7:]
    assert any(line.endswith("   as above") for line in second)
    made = [line.strip() for line in second if " = " in line]
    assert len(made) == len(set(made))


@pytest.mark.parametrize(("form", "begins"), [("json", "{"), ("mermaid", "flowchart LR\n")])
def test_the_command_prints_other_forms_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: str, begins: str
) -> None:
    printed = StringIO()
    monkeypatch.setattr(commands_lineage, "answers", Console(file=printed, width=40))
    commands_lineage.lineage("gold.revenue.mrr_end", json=form == "json", mermaid=form == "mermaid")
    assert (printed.getvalue() + capsys.readouterr().out).startswith(begins)


def test_bronze_is_where_lineage_ends(traced: ColumnLineage) -> None:
    name = f"bronze.users.{table('bronze.users').column_names[0]}"
    assert traced.of(name) == LineageNode(name)
