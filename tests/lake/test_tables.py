"""Laws every declaration keeps."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest

from lake.errors import BadInputError, GateError
from lake.table import TIMESTAMP, Layer, Table
from lake.tables import BRONZE, BY_NAME, MARTS, SILVER, table

EVERY = list(BY_NAME.values())


@pytest.mark.parametrize("declared", EVERY, ids=lambda t: t.full_name)
def test_columns_are_unique_described_and_hold_the_key(declared: Table) -> None:
    names = declared.column_names
    assert len(set(names)) == len(names)
    assert set(declared.key) <= set(names)
    assert all(c.description.endswith((".", "zero", "divide by.")) for c in declared.columns)


@pytest.mark.parametrize("declared", EVERY, ids=lambda t: t.full_name)
def test_time_has_a_zone_and_money_is_never_float(declared: Table) -> None:
    for column in declared.columns:
        if pa.types.is_timestamp(column.type):
            assert column.type == TIMESTAMP, column.name
        if column.name in {"amount", "monthly_price", "spend", "collected", "refunded", "mrr", "cac", "net_revenue"}:
            assert pa.types.is_decimal(column.type), column.name


def test_every_bronze_table_has_a_silver_table_with_its_key() -> None:
    assert [(t.name, t.key) for t in BRONZE] == [(t.name, t.key) for t in SILVER]


def test_every_metric_of_gold_has_a_formula_and_a_source() -> None:
    for mart in MARTS:
        metrics = [c for c in mart.columns if c.formula or c.source]
        assert metrics
        assert all(c.formula and c.source for c in metrics)


def test_a_misspelt_table_lists_near_names() -> None:
    with pytest.raises(BadInputError, match=r"silver\.users"):
        table("silver.user")


def test_layers_are_named_once() -> None:
    assert {t.layer for t in EVERY} == set(Layer)


def test_errors_survive_pickling_as_prefect_needs() -> None:
    error = GateError("what", where="where", mend="mend")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (GateError, str(error))
