"""Cases beside models: what a file may say, and when a case passes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lake.errors import ModelError
from lake.settings import EngineName
from lake.tables import table
from sql.engines.engine import Engine
from sql.model import Model
from sql.model_test import ModelTest, load_model_tests, output_schema, run_model_test

PLANS = """\
- name: a plan has a price and a rank
  given:
    bronze.plans:
      - {plan_id: p1, name: Pro, monthly_price: "9.90", tier: 1}
      - {plan_id: p2, name: Max, monthly_price: "19.90", tier: 0}
  expect:
    - {plan_id: p1, monthly_price: "9.90", _broken_rules: ""}
    - {plan_id: p2, monthly_price: "19.90", _broken_rules: tier_out_of_range}
"""


def load(directory: Path, models: Mapping[str, Model], text: str, file: str = "silver/plans.test.yaml") -> ModelTest:
    """The first case of a file."""
    path = directory / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_model_tests(directory, models)[0]


def run(directory: Path, models: Mapping[str, Model], engine: Engine, text: str) -> tuple[str, ...]:
    scratch = directory / "given"
    scratch.mkdir()
    return run_model_test(load(directory, models, text), engine, scratch)


@pytest.fixture
def duckdb(engines: Mapping[EngineName, Engine]) -> Engine:
    return engines["duckdb"]


def test_values_come_as_their_declared_types_and_ingest_columns_are_filled_in(
    tmp_path: Path, models: dict[str, Model]
) -> None:
    case = load(tmp_path, models, """\
- name: every type
  given:
    bronze.users:
      - {user_id: "007", first_seen_at: 2025-03-01T01:30:00+02:00, name: null}
      - {user_id: u2, _line: 9}
    silver.marketing_channels:
      - {channel_id: c1, is_paid: true}
  expect:
    - {first_seen_date: 2025-02-28}
""", "silver/users.test.yaml")  # fmt: skip
    users = case.given["bronze.users"]
    assert users.schema == table("bronze.users").schema
    ingest = {"_ingested_at": datetime(2026, 1, 1, tzinfo=UTC), "_source": "given.csv", "_batch_id": "given"}
    empty: dict[str, Any] = dict.fromkeys(users.schema.names)
    assert users.to_pylist() == [
        empty | ingest | {"user_id": "007", "first_seen_at": datetime(2025, 2, 28, 23, 30, tzinfo=UTC), "_line": 1},
        empty | ingest | {"user_id": "u2", "_line": 9},
    ]
    assert case.given["silver.marketing_channels"].column("is_paid").to_pylist() == [True]
    assert case.expect == ({"first_seen_date": date(2025, 2, 28)},)
    assert (case.columns, case.in_order) == (("first_seen_date",), False)
    assert case.where == f"{tmp_path}/silver/users.test.yaml:1"


def test_money_is_exact(tmp_path: Path, models: dict[str, Model]) -> None:
    case = load(tmp_path, models, PLANS)
    assert case.expect[0]["monthly_price"] == Decimal("9.90")
    assert case.given["bronze.plans"].schema.field("monthly_price").type == pa.decimal128(18, 2)


def test_a_silver_model_also_yields_its_broken_rules(models: dict[str, Model]) -> None:
    assert output_schema(models["silver.plans"]).names[-1] == "_broken_rules"
    assert output_schema(models["gold.revenue"]) == table("gold.revenue").schema


def test_a_case_passes_when_the_rows_are_those_expected(
    tmp_path: Path, models: dict[str, Model], duckdb: Engine
) -> None:
    assert run(tmp_path, models, duckdb, PLANS) == ()


@pytest.mark.parametrize(
    ("written", "instead", "differences"),
    [
        ('monthly_price: "19.90", _b', 'monthly_price: "19.91", _b', (
            "missing: {plan_id: p2, monthly_price: 19.91, _broken_rules: tier_out_of_range}",
            "not expected: {plan_id: p2, monthly_price: 19.90, _broken_rules: tier_out_of_range}",
        )),
        ("tier_out_of_range", "null", (
            "missing: {plan_id: p2, monthly_price: 19.90, _broken_rules: null}",
            "not expected: {plan_id: p2, monthly_price: 19.90, _broken_rules: tier_out_of_range}",
        )),
        ('    - {plan_id: p2, monthly_price: "19.90", _broken_rules: tier_out_of_range}\n', "", (
            "not expected: {plan_id: p2, monthly_price: 19.90, _broken_rules: tier_out_of_range}",
        )),
        # One row meets one expectation.
        ('    - {plan_id: p2, monthly_price: "19.90", _broken_rules: tier_out_of_range}\n',
         '    - {plan_id: p1, monthly_price: "9.90", _broken_rules: ""}\n', (
            "missing: {plan_id: p1, monthly_price: 9.90, _broken_rules: }",
            "not expected: {plan_id: p2, monthly_price: 19.90, _broken_rules: tier_out_of_range}",
        )),
    ],
)  # fmt: skip
def test_a_case_fails_with_the_rows_that_differ(
    tmp_path: Path, models: dict[str, Model], duckdb: Engine, written: str, instead: str, differences: tuple[str, ...]
) -> None:
    assert written in PLANS
    assert run(tmp_path, models, duckdb, PLANS.replace(written, instead)) == differences


def test_without_expected_rows_there_may_be_none(tmp_path: Path, models: dict[str, Model], duckdb: Engine) -> None:
    nothing = PLANS.partition("  expect:")[0] + "  expect: []\n"
    differences = run(tmp_path, models, duckdb, nothing)
    assert [line.split(",")[0] for line in differences] == ["not expected: {plan_id: p1", "not expected: {plan_id: p2"]


class _Answers:
    """An engine that yields given rows, whatever is asked."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def __enter__(self) -> _Answers:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def register(self, table: object, files: object) -> None:
        return None

    def run(self, select: str, schema: pa.Schema, where: str) -> pa.RecordBatchReader:
        return pa.Table.from_pylist(self._rows, schema=schema).to_reader()


FUNNEL = """\
- name: rates
  given: {}
  expect:
    - {step: visit, step_conversion: 1}
    - {step: signup, step_conversion: 0.3333333333333333}
    - {step: activation, step_conversion: null}
"""


@pytest.mark.parametrize(
    ("rate", "passes"),
    [(1 / 3, True), (1 / 3 + 1e-11, True), (1 / 3 + 1e-9, False), (None, False), (float("nan"), False)],
)
def test_floats_are_equal_to_nine_digits_and_only_they(
    tmp_path: Path, models: dict[str, Model], rate: float | None, passes: bool
) -> None:
    case = load(tmp_path, models, FUNNEL, "gold/conversion_funnel.test.yaml")
    rows: list[dict[str, Any]] = [
        {"step": "activation", "step_conversion": None},
        {"step": "signup", "step_conversion": rate},
        {"step": "visit", "step_conversion": 1.0},
    ]
    assert (run_model_test(case, _Answers(rows), tmp_path) == ()) is passes


def test_where_order_counts_rows_are_compared_one_by_one(tmp_path: Path, models: dict[str, Model]) -> None:
    case = load(tmp_path, models, f"{FUNNEL}  order: true\n", "gold/conversion_funnel.test.yaml")
    rows: list[dict[str, Any]] = [
        {"step": "visit", "step_conversion": 1.0},
        {"step": "activation", "step_conversion": None},
    ]
    assert run_model_test(case, _Answers(rows), tmp_path) == (
        "row 2: expected {step: signup, step_conversion: 0.3333333333333333}, "
        "not {step: activation, step_conversion: null}",
        "row 3: expected {step: activation, step_conversion: null}, not no row",
    )


@pytest.mark.parametrize(
    ("written", "instead", "line", "words"),
    [
        ("bronze.plans:", "bronze.plan:", 3, "bronze.plan is no table the model reads → did you mean bronze.plans"),
        ("bronze.plans:", "silver.users:", 3, "silver.users is no table the model reads → known: bronze.plans"),
        ("name: Max", "nmae: Max", 5, "nmae is no column → did you mean name"),
        ("{plan_id: p2, monthly_price", "{plan: p2, monthly_price", 8, "plan is no column → did you mean plan_id"),
        ("  expect:", "  expects:", 6, "expects: Extra inputs are not permitted → allowed: name, given, expect, order"),
        ("- name: a plan has", "- named: a plan has", 1, "named: Extra inputs are not permitted → allowed: name"),
        ("- name: a plan has a price and a rank\n  given:", "- given:", 1, "name: Field required"),
        ("a plan has a price and a rank", '""', 1, "name: String should have at least 1 character"),
        ("tier: 1}", "tier: 1.5}", 4, "tier is int64, not 1.5"),
        ("tier: 1}", "tier: '1'}", 4, "tier is int64, not '1'"),
        ("tier: 1}", "tier: true}", 4, "tier is int64, not True"),
        ("tier: 1}", "tier: [1]}", 4, "given.bronze.plans.0.tier"),
        ('price: "9.90", t', "price: 9.90, t", 4, "monthly_price is decimal.*not 9.9 → write money as quoted text"),
        ('price: "9.90", t', 'price: "9.905", t', 4, "monthly_price is decimal128.*not '9.905'"),
        ('price: "9.90", t', 'price: "nine", t', 4, "monthly_price is decimal128.*not 'nine'"),
        ("name: Pro", "name: NO", 4, "name is string, not False → write it in quotes"),
        ("name: Pro", "plan_id: p1", 4, "'plan_id' stands here twice"),
        ("- {plan_id: p2, monthly_price", "- {monthly_price", 8, "expected rows name the same columns"),
        ("tier: 1}", "_ingested_at: 2025-01-01T00:00:00}", 4, "_ingested_at is timestamp.*with their zone"),
        ("tier: 1}", "_ingested_at: yesterday}", 4, "_ingested_at is timestamp.*with their zone"),
        ("tier: 1}", "tier: 1", 5, "not valid YAML"),
    ],
)
def test_a_wrong_case_is_one_line_with_file_and_line(
    tmp_path: Path, models: dict[str, Model], written: str, instead: str, line: int, words: str
) -> None:
    assert written in PLANS
    with pytest.raises(ModelError, match=words) as caught:
        load(tmp_path, models, PLANS.replace(written, instead, 1))
    assert "\n" not in str(caught.value)
    assert caught.value.where == f"{tmp_path}/silver/plans.test.yaml:{line}"


def test_a_date_is_a_date(tmp_path: Path, models: dict[str, Model]) -> None:
    text = "- name: days\n  given:\n    silver.invoices:\n      - {issued_date: %s}\n  expect: []\n"
    case = load(tmp_path, models, text % "2024-02-29", "gold/revenue.test.yaml")
    assert case.given["silver.invoices"].column("issued_date").to_pylist() == [date(2024, 2, 29)]
    for wrong in ("2025-02-29", "20240229T000000Z", "29.2.2024", "2024"):
        with pytest.raises(ModelError, match="issued_date is date32") as caught:
            load(tmp_path, models, text % wrong, "gold/revenue.test.yaml")
        assert str(caught.value.where).endswith("revenue.test.yaml:4")


@pytest.mark.parametrize("text", ["", "name: no list", "just text"])
def test_a_file_is_a_list_of_cases(tmp_path: Path, models: dict[str, Model], text: str) -> None:
    with pytest.raises(ModelError, match="list") as caught:
        load(tmp_path, models, text)
    assert str(caught.value.where).startswith(f"{tmp_path}/silver/plans.test.yaml")


def test_names_tell_cases_apart(tmp_path: Path, models: dict[str, Model]) -> None:
    with pytest.raises(ModelError, match="two cases are named 'a plan has a price and a rank'") as caught:
        load(tmp_path, models, PLANS + PLANS)
    assert caught.value.where == f"{tmp_path}/silver/plans.test.yaml:9"


def test_a_file_lies_beside_a_model(tmp_path: Path, models: dict[str, Model]) -> None:
    with pytest.raises(ModelError, match=r"silver\.plan is no model → did you mean silver\.plans"):
        load(tmp_path, models, PLANS, "silver/plan.test.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path, models: dict[str, Model]) -> None:
    path = tmp_path / "silver" / "plans.test.yaml"
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ModelError, match="cannot be read") as caught:
        load_model_tests(tmp_path, models)
    assert caught.value.where == str(path)
