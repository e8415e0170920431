"""Every table has a sound contract, and the linter names file, line and mend for what Soda would pass over."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from lake.errors import ContractError
from lake.settings import PROJECT_ROOT
from lake.table import COUNT, TEXT, Column, Table
from lake.tables import BRONZE, GOLD, SILVER
from lake.tables import table as declared
from tasks import contracts
from tasks.contract_keys import COLUMN_CHECKS, TABLE_CHECKS, CheckKind
from tasks.contract_policy import declared_codes
from tasks.contract_yaml import read_contract
from tasks.contracts import contract_hash, contract_path, lint_all, lint_contract, require_sound

TABLES = (*BRONZE, *SILVER, *GOLD)
USERS = declared("silver.users")

BUSINESS_RULES = {
    "silver.sessions": {"ended_at_before_started_at", "duration_differs"},
    "silver.marketing_channels": {"is_paid_differs"},
    "silver.marketing_spend": {"more_clicks_than_impressions"},
    "silver.subscriptions": {"ended_at_before_started_at", "end_reason_without_end", "is_active_differs"},
    "silver.invoices": {"period_end_before_period_start"},
    "silver.payments": {"is_successful_differs"},
    "silver.support_tickets": {"first_response_at_before_opened_at", "resolved_at_before_opened_at"},
    "silver.experiment_exposures": {"assignment_dangling"},
    "silver.experiment_conversions": {"assignment_dangling"},
    "gold.daily_kpis": {"week_smaller_than_day", "net_revenue_differs"},
    "gold.conversion_funnel": {"users_grow_by_step"},
    "gold.revenue": {"movements_do_not_add_up", "start_is_not_the_last_end"},
    "gold.customer_health": {"parts_do_not_add_up", "churned_differs"},
    "gold.experiment_performance": {"lift_outside_its_interval", "more_conversions_than_users"},
}
"""Rules that only the contract states, so that no declaration misses one that was taken out."""


def soda_schema() -> dict[str, Any]:
    text = resources.files("soda_core.contracts").joinpath("soda_data_contract_json_schema_1_0_0.json").read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def edited(path: Path, before: str, after: str) -> Path:
    """A copy of the contract of silver.users with one passage changed."""
    text = contract_path(USERS).read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    return path


def test_every_table_has_a_sound_contract_and_no_contract_lacks_a_table() -> None:
    assert [str(problem) for problem in lint_all()] == []
    assert set(contracts.CONTRACTS.rglob("*.yaml")) == {contract_path(t) for t in TABLES}


def test_a_contract_without_a_table_and_a_table_without_a_contract_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in TABLES[1:]:
        copy = tmp_path / contract_path(table).relative_to(contracts.CONTRACTS)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(contract_path(table).read_bytes())
    (tmp_path / "gold" / "sales.yml").write_text("")
    monkeypatch.setattr(contracts, "CONTRACTS", tmp_path)
    absent, stray = lint_all()
    assert (absent.file, absent.message) == (
        tmp_path / "bronze" / "users.yaml",
        "cannot be read: No such file or directory",
    )
    assert (stray.file.name, stray.message) == ("sales.yml", "no table is declared for this contract")


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.full_name)
def test_every_contract_follows_sodas_own_schema(table: Table) -> None:
    jsonschema.validate(yaml.safe_load(contract_path(table).read_text()), soda_schema())


@pytest.mark.parametrize(
    ("column", "kind", "spec"),
    [
        *((True, name, spec) for name, spec in COLUMN_CHECKS.items()),
        *((False, name, spec) for name, spec in TABLE_CHECKS.items()),
    ],
)
def test_the_linter_allows_no_key_that_soda_does_not_know(column: bool, kind: str, spec: CheckKind) -> None:
    schema = soda_schema()["properties"]
    if column:
        (items,) = schema["columns"]["items"]["allOf"][0]["properties"]["checks"]["items"]["anyOf"]
        known = items["properties"][kind]
    else:
        known = next(c for c in schema["checks"]["items"]["anyOf"] if kind in c["properties"])["properties"][kind]
    assert spec.keys <= known["oneOf"][0]["properties"].keys()


@pytest.mark.parametrize("name", BUSINESS_RULES)
def test_the_rules_of_the_business_stand_in_the_contract(name: str) -> None:
    contract, _ = read_contract(contract_path(declared(name)))
    assert BUSINESS_RULES[name] <= {check.qualifier for check in contract.of(None, "failed_rows")}


def test_a_contract_is_identified_by_the_bytes_of_its_file() -> None:
    assert contract_hash(USERS) == hashlib.sha256(contract_path(USERS).read_bytes()).hexdigest()


def test_an_unsound_contract_stops_with_file_line_and_the_number_of_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "silver" / "users.yaml"
    path.parent.mkdir()
    edited(path, "threshold:", "treshold:")
    monkeypatch.setattr(contracts, "CONTRACTS", tmp_path)
    with pytest.raises(ContractError) as caught:
        require_sound(USERS)
    line = path.read_text().splitlines().index("  - row_count:") + 1
    assert caught.value.where == f"{path}:{line}"
    assert "and 2 more" in str(caught.value)


def test_a_missing_contract_is_named_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "CONTRACTS", tmp_path)
    with pytest.raises(ContractError, match=r"users\.yaml"):
        contract_hash(USERS)
    with pytest.raises(ContractError, match=r"users\.yaml"):
        require_sound(USERS)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("threshold:", "treshold:", "unknown key 'treshold' in a 'row_count' check; did you mean 'threshold'?"),
        ("\nchecks:", "\nchekcs:", "unknown key 'chekcs' in a contract; did you mean 'checks'?"),
        ("- schema:", "- schema", "a check is one type with its keys, not 'schema'; mind the colon"),
        ("- schema:", "- schema: yes", "a 'schema' check takes keys and values, nothing else"),
        ("  - schema:\n", "", "the contract needs one 'schema' check"),
        ("- missing:", "- mising:", "unknown key 'mising' in the checks of a column; did you mean 'missing'?"),
        ("- missing:", "- row_count:", "unknown key 'row_count' in the checks of a column"),
        ("user_id", "userid", "silver.users has no column 'userid'"),
        ("VARCHAR", "TEXT", "'data_type' of column 'user_id' must be VARCHAR, as declared"),
        ("VARCHAR\n", "VARCHAR\n    numeric_scale: 2\n", "'numeric_scale' of column 'user_id' has no place"),
        ("silver/users", "silver/user", "dataset must be lakehouse/silver/users"),
        ("silver/marketing_channels", "bronze/marketing_channels", "dataset must be lakehouse/silver/<table>"),
        ("column: _ingested_at", "column: ingested_at", "silver.users has no column 'ingested_at'"),
        ("first_seen_date IS", "first_seen_day IS", "silver.users has no column 'first_seen_day'"),
        ("first_seen_date IS", "first_seen_date IS IS", "'expression' is no SQL"),
        ("mobile, tablet]", "mobile]", "column 'device' needs a strict 'invalid' check with valid_values desktop"),
        ("[desktop", "[desktop, desktop", "'valid_values' must be a list of different texts"),
        ("[ZZ]", "[]", "'invalid_values' must be a list of different texts"),
        ("[ZZ]", "[no]", "'invalid_values' must be a list of different texts"),
        ("[A-Z]{2}", "[A-Z{2}", "'valid_format' must be 'name' and 'regex'"),
        ("unit: day", "unit: month", "'unit' must be minute or hour or day, not 'month'"),
        ("level: warn", "level: warning", "'level' must be fail or warn, not 'warning'"),
        ("must_be_less_than: 2", "must_be_less_than: two", "'must_be_less_than' must be a number, not 'two'"),
        ("must_be_less_than: 2", "must_be_less_than: .nan", "'must_be_less_than' must be a number, not nan"),
        ("must_be_less_than: 2", "must_be_less_than: 2\n        must_be: 1", "needs exactly one of must_be"),
        ("must_be_greater_than: 0", "must_be_greater_than: -1", "a check without effect"),
        ("must_be_greater_than: 0", "must_be_greater_than_or_equal: 0", "a check without effect"),
        ("must_be_greater_than: 0", "must_be_between: {greater_than: 9, less_than: 1}", "wrong way round"),
        ("must_be_greater_than: 0", "must_be_between: 3", "'must_be_between' needs a lower and an upper bound"),
        ("- duplicate:", "- duplicate:\n          filter: 1 = 1", "unknown key 'filter' in a 'duplicate' check"),
        ("- duplicate:", "- duplicate:\n          qualifier: a", "needs no qualifier: it is the only one here"),
        ("- duplicate:", "- duplicate:\n      - duplicate:", "'user_id: duplicate' stands here 2 times"),
        (
            "- duplicate:",
            "- duplicate:\n          threshold:\n            metric: percent\n            must_be_less_than: 5",
            "the key of silver.users (user_id) needs a 'duplicate' check that allows none",
        ),
        ("- missing:", "- missing:\n          threshold: {level: warn, must_be: 0}", "needs a strict 'missing' check"),
        ("valid_min_length: 1", "valid_min: 1", "'valid_min' bounds numbers; 'user_id' is string"),
        ("dataset:", "dataset: lakehouse/silver/users\ndataset:", "'dataset' stands here twice"),
        ("lakehouse/silver/users", "${env.DATASET}", "variables are refused"),
        ("checks:", "filter: country = 'DE'\nchecks:", "unknown key 'filter' in a contract"),
        ("checks:", "checks: &all", ""),
        ("columns:", "columns: *none", "aliases are refused: write it out"),
        ("columns:", "\tcolumns:", "not valid YAML"),
    ],
)  # fmt: skip
def test_the_linter_says_what_is_wrong(tmp_path: Path, before: str, after: str, message: str) -> None:
    path = edited(tmp_path / "users.yaml", before, after)
    found = [problem.message for problem in lint_contract(USERS, path)]
    if message:
        assert any(message in text for text in found), found
    else:
        assert found == []


def test_a_problem_names_the_line_it_stands_in(tmp_path: Path) -> None:
    path = edited(tmp_path / "users.yaml", "valid_min_length:", "valid_min_lenght:")
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "lenght" in text)
    problem = next(p for p in lint_contract(USERS, path) if "lenght" in p.message)
    assert str(problem).startswith(f"{path}:{line}: unknown key 'valid_min_lenght'")


@pytest.mark.parametrize("content", ["", "# nothing\n", "[]", "just text", "- a\n- b\n", "\x00", "{a: 1"])
def test_a_file_that_is_no_contract_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "users.yaml"
    path.write_text(content)
    assert lint_contract(USERS, path)


def test_an_alias_is_refused_whatever_it_repeats(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"
    path.write_text("dataset: lakehouse/silver/users\nchecks: &again\n  - *again\n")
    (problem,) = lint_contract(USERS, path)
    assert (problem.line, problem.message) == (3, "aliases are refused: write it out")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM gold.revenue WHERE mrr_end < 0", "the query does not read gold.conversion_funnel"),
        ("SELECT * FROM silver.users", "the query reads silver.users; a gate sees the gold tables only"),
        ("SELECT 1 AS one FROM gold.conversion_funnel", "the query reads no column: a check without effect"),
        ("SELECT user FROM gold.conversion_funnel WHERE usrs > 1", "gold.conversion_funnel has no column 'usrs'"),
    ],
)
def test_a_query_reads_tables_and_columns_the_gate_has(tmp_path: Path, query: str, message: str) -> None:
    table = declared("gold.conversion_funnel")
    content = yaml.safe_load(contract_path(table).read_text())
    check = next(c["failed_rows"] for c in content["checks"] if "query" in c.get("failed_rows", {}) or {})
    check["query"] = query
    path = tmp_path / "conversion_funnel.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    assert any(message in problem.message for problem in lint_contract(table, path))


@pytest.mark.parametrize(
    ("description", "codes"),
    [
        ("low, normal, high or urgent.", ("low", "normal", "high", "urgent")),
        ("cancelled or plan_change; NULL while it runs.", ("cancelled", "plan_change")),
        ("churned (no subscription runs), at_risk (< 40), healthy.", ("churned", "at_risk", "healthy")),
        ("Name as typed by the person.", ()),
        ("Day of the start, UTC.", ()),
    ],
)  # fmt: skip
def test_codes_are_read_from_the_declaration(description: str, codes: tuple[str, ...]) -> None:
    assert declared_codes(Column("column", TEXT, description)) == codes
    assert declared_codes(Column("column", COUNT, description)) == ()


def test_contracts_lie_where_the_rooms_table_says() -> None:
    assert contract_path(USERS) == PROJECT_ROOT / "soda" / "contracts" / "silver" / "users.yaml"
