"""The gold contracts on Spark: what is right passes, what is broken is not published, no check is lost on the way."""

from __future__ import annotations

import importlib.metadata
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lake.errors import ContractError, GateError, MissingToolError
from lake.settings import PROJECT_ROOT
from lake.tables.anomalies import ANOMALIES
from spark.detect_anomalies import TABLES
from spark.job.contract_on_spark import read_contract, spark_sql
from spark.job.publishing import Output
from spark.job.soda_gate import INSTALL_SODA, read_contracts, require_open
from tasks.contract_yaml import read_contract as as_written
from tests.spark.conftest import Sessions
from tests.spark.job_runs import AT, published, stored, versions
from tests.spark.worlds import drawn, packed, worlds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Change = Callable[["DataFrame"], "DataFrame"]
CONTRACTS = PROJECT_ROOT / "soda" / "contracts"
GOLD = CONTRACTS / "gold"


@pytest.fixture(scope="module")
def transactions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some hundred transactions, with every rule fired."""
    return stored(tmp_path_factory.mktemp("in") / "rows.parquet", packed(drawn(worlds(), 20)))


@pytest.fixture(scope="module")
def whole(sessions: Sessions, transactions: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """The tables of a run without a gate."""
    output = tmp_path_factory.mktemp("whole")
    published(sessions.of("sail"), transactions, output)
    return {name: pa.table(DeltaTable(output / name).to_pyarrow_table()) for name in TABLES}


@pytest.fixture
def gate(session: SparkSession, whole: dict[str, pa.Table], tmp_path: Path) -> Callable[..., None]:
    """The gate on a table changed by a function of its frame; by default on all four, unchanged."""

    def gate(name: str | None = None, change: Change | None = None, contracts: Path = CONTRACTS) -> None:
        output = Output(session, str(tmp_path / "out"), "run_1")
        for table in TABLES if name is None else (name,):
            pq.write_table(whole[table], tmp_path / f"{table}.parquet")
            frame = session.read.parquet(str(tmp_path / f"{table}.parquet"))
            output.store(change(frame) if change else frame, table)
        require_open(session, read_contracts(contracts, tuple(output.candidates)), output.candidates, AT, output.run_id)

    return gate


def test_the_tables_of_a_run_pass_every_declared_check(gate: Callable[..., None], session: SparkSession) -> None:
    gate()
    assert "run_1" not in [database.name for database in session.catalog.listDatabases()]


def set_where(column: str, value: str, where: str = "TRUE") -> Change:
    """A change of one column, in SQL."""

    def change(frame: DataFrame) -> DataFrame:
        others = [name if name != column else f"IF({where}, {value}, {column}) AS {column}" for name in frame.columns]
        return frame.selectExpr(*others)

    return change


# What is done to which table, and the check that must tell of it.
BROKEN: dict[str, tuple[str, Change, str]] = {
    "a NULL key": (
        "account_summary",
        set_where("account_id", "CAST(NULL AS STRING)", "anomalies = 0"),
        "account_id: missing failed",
    ),
    "a duplicate": (
        "transaction_anomalies",
        lambda frame: frame.unionByName(frame.limit(1)),
        "transaction_id: duplicate failed, measured 1",
    ),
    "a score above 1": (
        "transaction_anomalies",
        set_where("score", "1.5D", "score > 0"),
        r"score: invalid \(max\) failed",
    ),
    "a rule nobody knows": (
        "transaction_anomalies",
        set_where("rules", "array('velocity', 'luck')", "score > 0"),
        r"failed_rows \(unknown_rule\) failed",
    ),
    "another type": (
        "merchant_summary",
        lambda frame: frame.withColumn("transactions", frame.transactions.cast("decimal(18,0)")),
        r"column transactions is decimal\(18,0\), declared bigint",
    ),
    "a column too many": (
        "merchant_summary",
        lambda frame: frame.withColumn("x", frame.amount),
        r"column x is decimal\(38,2\), declared None",
    ),
    "columns in another order": (
        "merchant_summary",
        lambda frame: frame.select(*reversed(frame.columns)),
        "columns stand in another order",
    ),
    "a wrong rate": (
        "merchant_summary",
        set_where("anomaly_rate", "0.123D"),
        r"failed_rows \(rate_differs\) failed",
    ),
    "days that do not fit": (
        "account_summary",
        set_where("last_date", "first_date - 1"),
        r"failed_rows \(days_do_not_fit\) failed",
    ),
}


@pytest.mark.parametrize(("name", "change", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_candidate_shuts_the_gate(gate: Callable[..., None], name: str, change: Change, told: str) -> None:
    with pytest.raises(GateError, match=f"{name}: .*{told}"):
        gate(name, change)


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A copy of the contracts, to be changed."""
    (tmp_path / "contracts" / "gold").mkdir(parents=True)
    for name in TABLES:
        (tmp_path / "contracts" / "gold" / f"{name}.yaml").write_text((GOLD / f"{name}.yaml").read_text())
    return tmp_path / "contracts"


def edit(contracts: Path, name: str, old: str, new: str) -> None:
    file = contracts / "gold" / f"{name}.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def test_nothing_is_published_when_the_last_of_four_contracts_fails(
    sessions: Sessions, transactions: Path, contracts: Path, tmp_path: Path
) -> None:
    session, output = sessions.of("sail"), tmp_path / "out"
    published(session, transactions, output, contracts=contracts)
    edit(contracts, "account_summary", "expression: anomalies > transactions", "expression: transactions > 0")
    with pytest.raises(GateError, match=r"account_summary: failed_rows \(more_anomalies_than_transactions\) failed"):
        published(session, transactions, output, contracts=contracts)
    assert versions(output) == dict.fromkeys(TABLES, 0)
    assert [left.name for left in (output / "_staging").iterdir()] == ["lock"]


def test_a_check_that_soda_cannot_evaluate_shuts_the_gate_even_where_logging_is_off(
    gate: Callable[..., None], contracts: Path
) -> None:
    edit(contracts, "merchant_summary", "expression: anomalies > transactions OR", "expression: no_such_column > 1 OR")
    logging.disable(logging.CRITICAL)
    try:
        with pytest.raises(GateError, match=r"merchant_summary: failed_rows \(more_anomalies.*\) was not evaluated"):
            gate("merchant_summary", contracts=contracts)
        assert logging.root.manager.disable == logging.CRITICAL
    finally:
        logging.disable(logging.NOTSET)


def test_a_declared_warning_lets_rows_through(gate: Callable[..., None]) -> None:
    """The contracts declare an empty table as worth a warning."""
    gate("merchant_summary", lambda frame: frame.limit(0))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("valid_min: 1", "valid_minn: 1", "'valid_minn' has no place in check 'invalid'"),
        ("- missing:", "- mising:", "'mising' has no place in a list of checks"),
        ("data_type: BIGINT", "data_type: HUGEINT", "type of column transactions: 'HUGEINT' is none of BIGINT"),
        ("expression: abs(", "expression: abs((", "rate_differs: 'expression' is no SQL"),
        ("level: warn", "unit: percent", "'unit' has no place in a threshold"),
        ("columns:\n", "column:\n", "'column' has no place in a contract"),
        ("dataset:", "dataset: {", "not valid YAML"),
    ],
)
def test_what_the_gate_cannot_carry_over_is_refused_and_not_passed_over(
    contracts: Path, old: str, new: str, told: str
) -> None:
    edit(contracts, "merchant_summary", old, new)
    with pytest.raises(ContractError, match=told):
        read_contract(contracts / "gold" / "merchant_summary.yaml")


def test_a_contract_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read"):
        read_contracts(tmp_path, TABLES)


def test_without_soda_the_package_to_install_is_told_before_anything_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "soda_sparkdf", None)
    with pytest.raises(MissingToolError, match=r"needs soda-sparkdf .* → python -m pip install soda-sparkdf=="):
        read_contracts(CONTRACTS, TABLES)


def test_the_soda_to_install_is_the_one_that_fits_the_installed_core() -> None:
    assert INSTALL_SODA.endswith(f"soda-sparkdf=={importlib.metadata.version('soda-core')}")


@pytest.mark.parametrize("name", TABLES)
def test_every_check_that_is_written_down_is_expected_of_soda(name: str) -> None:
    written, problems = as_written(GOLD / f"{name}.yaml")
    assert not problems
    carried = read_contract(GOLD / f"{name}.yaml")
    assert carried.checks == tuple(check.identity for check in written.checks)
    assert len(carried.checks) > 15
    assert carried.name == name


def expressions() -> Iterator[tuple[str, str]]:
    for name in TABLES:
        for check in as_written(GOLD / f"{name}.yaml")[0].checks:
            if "expression" in check.body:
                yield name, str(check.body["expression"])


VALUES: dict[pa.DataType, list[Any]] = {
    pa.int64(): [1, 2, 5, 1_000, None],
    pa.float64(): [0.0, 0.5, 2.0, None],
    pa.date32(): [date(2026, 1, 1), date(2026, 1, 3), date(2027, 1, 1), None],
    pa.string(): ["account", "", None],
    pa.decimal128(38, 2): [Decimal("0.00"), Decimal("7.25"), None],
    pa.list_(pa.string()): [[], ["velocity"], ["frequency", "luck"], ["high_amount", "velocity"], None],
}


@pytest.mark.parametrize(("name", "expression"), list(expressions()))
def test_an_expression_means_on_spark_what_it_means_in_duckdb(
    session: SparkSession, tmp_path: Path, name: str, expression: str
) -> None:
    table = next(table for table in ANOMALIES if table.name == name)
    draw = Random(expression)
    rows = [
        {c.name: draw.choice(VALUES[c.type]) if c.type in VALUES else None for c in table.columns}
        | {"row_number": number}
        for number in range(500)
    ]
    schema = pa.schema([*((c.name, c.type) for c in table.columns), ("row_number", pa.int64())])
    broken = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(broken, tmp_path / "rows.parquet")
    declared = {c["name"]: c["data_type"] for c in as_written(GOLD / f"{name}.yaml")[0].columns}
    expected = duckdb.execute(f"SELECT row_number FROM broken WHERE {expression}").fetchall()
    found = session.read.parquet(str(tmp_path / "rows.parquet")).where(spark_sql(expression, declared))
    assert {row.row_number for row in found.select("row_number").collect()} == {number for (number,) in expected}
    assert 0 < len(expected) < len(rows)
