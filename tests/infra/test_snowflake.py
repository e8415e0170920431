"""The Snowflake scripts are valid and current, and a broken copy of one is reported by the same function."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.snowflake.tasks import FOLDER, tables_script, tasks_script
from infra.validators import snowflake
from lake.tables import GOLD, MARTS, SILVER

SCRIPTS = sorted(FOLDER.glob("*.sql"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_script_is_valid(script: Path) -> None:
    assert snowflake.problems(script) == []


def test_the_generated_scripts_are_current() -> None:
    renew = "renew them with: python -m infra.snowflake.tasks"
    assert (FOLDER / "tables.sql").read_text() == tables_script(), renew
    assert (FOLDER / "tasks.sql").read_text() == tasks_script(), renew


def test_every_published_table_is_mirrored_and_every_mart_is_built_and_compared() -> None:
    tables, tasks = tables_script(), tasks_script()
    for table in SILVER:
        assert f"IF NOT EXISTS silver.{table.name}\n" in tables
    for table in GOLD:
        assert f"IF NOT EXISTS published.{table.name}\n" in tables
        assert f"VIEW marts.{table.name} AS" in tables
    bodies = [snowflake.task_body(text) for _, text in snowflake.statements(FOLDER / "tasks.sql")]
    built = {body.split("(")[0].split()[-1] for body in bodies if body and body.startswith("CREATE OR REPLACE TABLE")}
    assert built == {mart.full_name for mart in MARTS}
    assert sum(body.startswith("INSERT INTO ops.parity") for body in bodies if body) == len(MARTS)
    assert tasks.count("CREATE OR REPLACE TASK") == 1 + 2 * len(MARTS)


BROKEN = {
    "misspelt statement": ("setup.sql", "CREATE ROLE", "CRAETE ROLE", "line 7"),
    "misspelt kind": (
        "setup.sql",
        "EXTERNAL VOLUME IF NOT",
        "EXTERNAL VOLUMES IF NOT",
        "no statement of a known shape",
    ),
    "unknown option of an integration": ("setup.sql", "TABLE_FORMAT =", "TABLE_FORMATS =", "no option TABLE_FORMATS"),
    "unknown option of a warehouse": ("setup.sql", "AUTO_SUSPEND =", "AUTO_SLEEP =", "has no option AUTO_SLEEP"),
    "missing option": ("tables.sql", "  BASE_LOCATION = 'silver/users'\n", "", "needs the option BASE_LOCATION"),
    "unknown variable": ("setup.sql", "<% azure_tenant_id %>", "<% tenant %>", "<% tenant %> is no variable"),
    "role that nobody makes": ("setup.sql", "lakehouse_reader;", "lakehouse_raeder;", "role lakehouse_raeder"),
    "grant of another shape": ("setup.sql", "GRANT USAGE ON DATABASE", "GRANT USAGE DATABASE", "of a known shape"),
    "volume that nobody makes": ("tables.sql", "'lakehouse_mirror'", "'mirror'", "external volume mirror"),
    "integration that nobody makes": ("tables.sql", "'lakehouse_delta'", "'delta'", "catalog integration delta"),
    "schema that nobody makes": ("tables.sql", "EXISTS published.", "EXISTS publised.", "schema publised"),
    "view of a table that is not there": ("tables.sql", "FROM published.revenue", "FROM published.revenu", "revenu is"),
    "syntax of a query": ("tables.sql", "FROM published.revenue;", "FORM published.revenue;", "of a known shape"),
    "warehouse of a task": ("tasks.sql", "= lakehouse_warehouse", "= small", "warehouse small is made by none"),
    "task before it": ("tasks.sql", "AFTER ops.build_revenue", "AFTER ops.build_revenu", "task ops.build_revenu is"),
    "option of a task": ("tasks.sql", "SCHEDULE =", "SCHEDULES =", "CREATE TASK has no option SCHEDULES"),
    "table in a task's body": ("tasks.sql", "silver.invoices", "silver.invoice", "table silver.invoice is made"),
    "syntax of a task's body": ("tasks.sql", "parity (mart", "parity ((mart", "cannot be read"),
    "monitored table": ("monitoring.sql", "FROM ops.parity", "FROM ops.paritys", "table ops.paritys is made by none"),
    "dropped object": ("teardown.sql", "lakehouse_delta", "lakehouse_dleta", "lakehouse_dleta is made by none"),
    "semicolon that is missing": ("teardown.sql", "IF EXISTS lakehouse;", "IF EXISTS lakehouse", "line 4"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_script_is_reported(case: str, tmp_path: Path) -> None:
    name, old, new, expected = BROKEN[case]
    for script in SCRIPTS:
        shutil.copy(script, tmp_path)
    copy = tmp_path / name
    text = copy.read_text()
    assert old in text
    copy.write_text(text.replace(old, new))
    told = snowflake.problems(copy)
    assert any(expected in problem for problem in told), told
