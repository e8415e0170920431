"""Loading models: order, dependencies, and every way a model can be wrong."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from sqlglot import exp, parse_one

from lake.errors import ModelError
from lake.tables import MARTS, SILVER, table
from sql.model import Model, fingerprint, load_models, order

PLANS = (Path(__file__).parents[2] / "sql" / "models" / "silver" / "plans.sql").read_text()


def load(directory: Path, **files: str) -> dict[str, Model]:
    """Models of the given SQL, named like ``silver__plans``; no others are required."""
    for name, sql in files.items():
        path = directory.joinpath(*name.split("__")).with_suffix(".sql")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sql)
    return load_models(directory, tables=())


def test_every_silver_and_gold_table_has_one_model(models: dict[str, Model]) -> None:
    assert models.keys() == {t.full_name for t in (*SILVER, *MARTS)}


def test_dependencies_are_read_from_the_sql(models: dict[str, Model]) -> None:
    assert models["silver.events"].depends_on == {"bronze.events", "silver.sessions", "silver.users"}
    assert models["gold.conversion_funnel"].depends_on == {"silver.users", "silver.events"}


def test_every_model_comes_after_those_it_reads(models: dict[str, Model]) -> None:
    seen: set[str] = set()
    for model in order(models):
        assert model.depends_on & models.keys() <= seen
        seen.add(model.name)
    assert seen == models.keys()


def test_declared_sources_of_metrics_are_tables_their_model_reads(models: dict[str, Model]) -> None:
    for mart in MARTS:
        named = {n for c in mart.columns for n in re.findall(r"silver\.\w+", c.source or "")}
        assert named <= models[mart.full_name].depends_on, mart.full_name


def test_models_say_what_they_are_and_name_their_columns(models: dict[str, Model]) -> None:
    for model in models.values():
        assert model.sql.startswith("-- ")
        assert "\n-- Grain: " in model.sql
        tree = parse_one(model.sql, dialect="duckdb")
        stars = [star for star in tree.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]
        assert not stars, model.name
        assert not list(tree.find_all(exp.Unnest, exp.GenerateSeries, exp.Lambda, exp.Qualify)), model.name


def test_the_fingerprint_follows_model_and_sources(models: dict[str, Model]) -> None:
    users, plans = models["silver.users"], models["silver.plans"]
    base = fingerprint(users, {"bronze.users": "v1", "silver.marketing_channels": "v1"})
    assert base == fingerprint(users, {"silver.marketing_channels": "v1", "bronze.users": "v1"})
    assert base != fingerprint(users, {"bronze.users": "v2", "silver.marketing_channels": "v1"})
    assert base != fingerprint(plans, {"bronze.users": "v1", "silver.marketing_channels": "v1"})
    edited = Model(users.name, users.path, users.sql + " ", users.depends_on)
    assert base != fingerprint(edited, {"bronze.users": "v1", "silver.marketing_channels": "v1"})


def test_a_closing_semicolon_and_comments_after_it_are_no_second_statement(tmp_path: Path) -> None:
    model = load(tmp_path, silver__plans=f"{PLANS.rstrip()};\n-- the end; really\n")["silver.plans"]
    assert ";" not in model.sql


@pytest.mark.parametrize(
    ("sql", "line", "words"),
    [
        ("select plan_id\nfrom bronze.plans\nwhere (tier\n", 3, "does not parse"),
        ("select 'open\n", None, "does not parse"),
        ("", None, "holds 0 statements"),
        (f"{PLANS};\nselect 1", None, "holds 2 statements"),
        ("create table t as select 1 as a", None, "is CREATE, not a SELECT"),
        ("delete from bronze.plans", None, "is DELETE, not a SELECT"),
        ("insert into bronze.plans select 1", None, "is INSERT, not a SELECT"),
        (PLANS.replace("from bronze.plans", "from bronze.plants"), 14, "reads bronze.plants.*mean bronze.plans"),
        (PLANS.replace("from bronze.plans", "from 'plans.parquet'"), 14, "reads plans.parquet, which nobody declared"),
        (PLANS.replace("from bronze.plans", "from read_csv('p.csv')"), None, "which is no declared table"),
        (PLANS.replace("from bronze.plans", "from silver.users"), None, "does not read bronze.plans"),
        (PLANS.replace("        tier,", "        teir as tier,", 1), 9, 'column "teir" not found'),
        (PLANS.replace("    tier,\n    _in", "    tear(tier) as tier,\n    _in"), 20, "tear"),
        (PLANS.replace("    tier,\n    _in", "    _in"), None, "tier is missing"),
        (PLANS.replace("    tier,\n    _in", "    tier,\n    1 as extra,\n    _in"), None, "extra is not declared"),
        (PLANS.replace("    plan_id,\n    name,\n    m", "    name,\n    plan_id,\n    m"), None, "order or number"),
        (PLANS.replace("    monthly_price,\n    t", "    cast(monthly_price as double) as monthly_price,\n    t", 2),
         None, r"yields monthly_price as DOUBLE, declared is DECIMAL\(18,2\)"),
    ],
)  # fmt: skip
def test_a_wrong_model_is_one_line_with_file_and_line(tmp_path: Path, sql: str, line: int | None, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load(tmp_path, silver__plans=sql)
    assert "\n" not in str(caught.value)
    place = str(tmp_path / "silver" / "plans.sql")
    assert caught.value.where == (f"{place}:{line}" if line else place)


def test_a_table_may_have_one_model_only(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"silver\.plans has two models"):
        load(tmp_path, silver__plans=PLANS, silver__billing__plans=PLANS)


def test_a_model_nobody_declared_a_table_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no silver or gold table silver\.planets is declared"):
        load(tmp_path, silver__planets=PLANS)


def test_a_table_without_a_model_is_named(tmp_path: Path) -> None:
    load(tmp_path, silver__plans=PLANS)
    with pytest.raises(ModelError, match=r"no model makes silver\.users"):
        load_models(tmp_path, tables=(table("silver.plans"), table("silver.users")))


def test_a_model_reads_no_layer_that_is_built_after_its_own(tmp_path: Path) -> None:
    sql = PLANS.replace("from received", "from received, gold.revenue")
    with pytest.raises(ModelError, match=r"reads gold\.revenue, but a silver model reads bronze and silver only"):
        load(tmp_path, silver__plans=sql)


def test_a_circle_names_its_chain() -> None:
    circle = {
        "silver.users": frozenset({"silver.plans"}),
        "silver.plans": frozenset({"silver.invoices"}),
        "silver.invoices": frozenset({"silver.users"}),
    }
    models = {name: Model(name, Path(f"{name}.sql"), "", reads) for name, reads in circle.items()}
    with pytest.raises(ModelError, match="read each other in a circle") as caught:
        order(models)
    chain = caught.value.what.split(": ")[1].split(" → ")
    assert chain[0] == chain[-1]
    assert all(read in circle[reader] for reader, read in pairwise(chain))
