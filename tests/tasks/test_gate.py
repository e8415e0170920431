"""The gate opens for what the contract allows and says, for everything else, what was measured, allowed and where."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lake.candidate import Balance, Run
from lake.checks import GateResult, Outcome
from lake.errors import ContractError
from lake.settings import EngineSettings
from lake.table import COUNT, TEXT, Column, Table
from lake.tables import SILVER
from lake.tables import table as declared
from sql.engines.duckdb import DuckDBEngine
from tasks import contracts
from tasks.contract_yaml import read_contract
from tasks.contracts import contract_hash, contract_path
from tasks.gate import check_candidate, check_quarantined_share
from tasks.soda_run import run_soda

NOW = datetime(2026, 1, 31, 8, 30, 15, 250_000, tzinfo=UTC)
RUN = Run("run-1", NOW)
USERS, CHANNELS = declared("silver.users"), declared("silver.marketing_channels")
ROWS = 20
INGESTED = f"TIMESTAMPTZ '{NOW}' AS _ingested_at, 'users/a.csv' AS _source, 'b1' AS _batch_id, i + 2 AS _line"
CLEAN_USERS = (
    "SELECT 'u' || lpad(i::VARCHAR, 2, '0') AS user_id, TIMESTAMPTZ '2026-01-01 23:30:00+00' AS first_seen_at, "
    "'c1' AS channel_id, 'DE' AS country, 'mobile' AS device, NULL AS name, DATE '2026-01-01' AS first_seen_date, "
    f"{INGESTED} FROM range({ROWS}) AS t(i)"
)
CLEAN_CHANNELS = (
    f"SELECT 'c1' AS channel_id, 'Search' AS name, 'paid' AS kind, true AS is_paid, {INGESTED} FROM range(1) AS t(i)"
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    """An engine with clean users and channels, every other silver table empty."""
    with DuckDBEngine(EngineSettings(memory_limit_mb=256), tmp_path / "scratch") as engine:
        for table in SILVER:
            engine.register(table, ())
        engine.register(CHANNELS, engine.write(CLEAN_CHANNELS, CHANNELS, tmp_path / "clean"))
        engine.register(USERS, engine.write(CLEAN_USERS, USERS, tmp_path / "clean"))
        yield engine


def candidate(engine: DuckDBEngine, directory: Path, select: str, table: Table = USERS) -> None:
    """Stage the rows of a SELECT as the table's candidate."""
    engine.register(table, engine.write(select, table, directory / "dirty"))


def users(column: str, value: str | None) -> str:
    """Clean users of which the first has another value in one column."""
    written = "NULL" if value is None else f"'{value}'"
    return f"SELECT * REPLACE (CASE WHEN _line = 2 THEN {written} ELSE {column} END AS {column}) FROM ({CLEAN_USERS})"


def check(
    engine: DuckDBEngine, table: Table = USERS, rows: int = ROWS, *, at: datetime = NOW, samples: int = 3
) -> GateResult:
    return check_candidate(engine, table, rows, Run("run-1", at), sample_rows=samples)


def named(result: GateResult, name: str) -> Any:
    return next(c for c in result.checks if c.name == name)


def write_contract(root: Path, table: Table, content: dict[str, Any] | None = None) -> Path:
    """A contract of the table below another root; the real one unless told otherwise."""
    path = root / table.layer / f"{table.name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(contract_path(table).read_text() if content is None else yaml.safe_dump(content, sort_keys=False))
    return path


def test_clean_rows_open_the_gate_and_every_declared_check_came_out(engine: DuckDBEngine) -> None:
    result = check(engine)
    assert (result.problems, result.outcome, result.opens) == ((), Outcome.PASSED, True)
    assert (result.table, result.rows_tested, result.contract_hash) == ("silver.users", ROWS, contract_hash(USERS))
    contract, _ = read_contract(contract_path(USERS))
    assert [c.name for c in result.checks] == [c.name for c in contract.checks]
    assert {c.outcome for c in result.checks} == {Outcome.PASSED}
    assert len({c.name for c in result.checks}) == len(result.checks)


@pytest.mark.parametrize(
    ("column", "value", "name", "allowed"),
    [
        ("device", None, "device: missing", "0 missing values"),
        ("user_id", "", "user_id: invalid", "0 values shorter than 1 characters"),
        ("device", "fridge", "device: invalid", "0 values other than desktop, mobile, tablet"),
        ("country", "de", "country: invalid (format)", "0 values that are no ISO 3166-1 alpha-2"),
        ("country", "ZZ", "country: invalid (placeholder)", "0 values equal to ZZ"),
        ("channel_id", "c9", "channel_id: invalid", "0 values unknown to silver.marketing_channels.channel_id"),
        ("first_seen_date", "2026-01-02", "first_seen_date_differs",
         "0 rows where first_seen_date IS DISTINCT FROM CAST(first_seen_at AS DATE)"),
    ],
)  # fmt: skip
def test_a_broken_rule_names_check_measured_value_threshold_and_row(
    engine: DuckDBEngine, tmp_path: Path, column: str, value: str | None, name: str, allowed: str
) -> None:
    candidate(engine, tmp_path, users(column, value))
    result = check(engine)
    found = named(result, name)
    assert (found.outcome, found.measured, found.threshold) == (Outcome.FAILED, "1", allowed)
    (sample,) = found.samples
    assert {column: value, "_source": "users/a.csv", "_line": "2"}.items() <= sample.items()
    (problem,) = result.problems
    assert problem.startswith(f"silver.users: {name} measured 1, allowed {allowed}; for example user_id=")
    assert problem.endswith("(users/a.csv line 2)")
    assert (result.opens, result.outcome) == (False, Outcome.FAILED)


def test_a_duplicate_names_the_key_and_how_often_it_is_there(engine: DuckDBEngine, tmp_path: Path) -> None:
    candidate(engine, tmp_path, users("user_id", "u01"))
    assert check(engine).problems == (
        "silver.users: user_id: duplicate measured 1, allowed 0 duplicates of user_id; for example user_id=u01 rows=2",
    )


def test_a_result_left_unread_on_the_connection_does_no_harm(engine: DuckDBEngine) -> None:
    assert engine.connection.execute("SELECT 1 FROM range(2)").fetchone() == (1,)
    assert check(engine).opens


def test_samples_are_few_the_same_every_time_and_cut(engine: DuckDBEngine, tmp_path: Path) -> None:
    candidate(engine, tmp_path, f"SELECT * REPLACE (repeat('x', 1000000) AS device) FROM ({CLEAN_USERS})")
    found = named(check(engine, samples=2), "device: invalid")
    assert [s["user_id"] for s in found.samples] == ["u00", "u01"]
    assert {len(s["device"]) for s in found.samples} == {200}
    assert named(check(engine, samples=0), "device: invalid").samples == ()


def test_a_rule_written_as_a_query_shows_the_rows_it_found(engine: DuckDBEngine, tmp_path: Path) -> None:
    funnel = declared("gold.conversion_funnel")
    steps = ("visit", "signup", "activation", "checkout", "purchase")
    rows = " UNION ALL ".join(
        f"SELECT DATE '2026-01-01' AS cohort_month, 'c1' AS channel_id, {n}::BIGINT AS step_number, '{step}' AS step, "
        f"{users}::BIGINT AS users, 0.5::DOUBLE AS step_conversion, 0.5::DOUBLE AS overall_conversion"
        for n, (step, users) in enumerate(zip(steps, (100, 50, 60, 10, 10), strict=True), 1)
    )
    candidate(engine, tmp_path, rows, funnel)
    result = check(engine, funnel, 5)
    (sample,) = named(result, "users_grow_by_step").samples
    assert sample == {"cohort_month": "2026-01-01", "channel_id": "c1", "step_number": "3", "users": "60"}
    (problem,) = result.problems
    assert problem.startswith(
        "gold.conversion_funnel: users_grow_by_step measured 1, allowed 0 rows where users_grow_by_step"
    )


def test_other_rows_than_were_written_shut_the_gate(engine: DuckDBEngine) -> None:
    for written in (ROWS - 1, ROWS + 1, 0):
        problems = check(engine, rows=written).problems
        assert problems[0] == f"silver.users: rows tested: measured {ROWS}, allowed exactly the {written} rows written"


def test_an_empty_table_that_may_be_empty_warns_and_passes(engine: DuckDBEngine) -> None:
    result = check(engine, declared("silver.plans"), 0)
    assert (result.problems, result.outcome, result.opens) == ((), Outcome.WARN, True)
    assert named(result, "row_count").threshold == "more than 0 rows (else warn)"
    freshness = named(result, "freshness")
    assert (freshness.outcome, freshness.measured) == (Outcome.WARN, "no rows")


def test_an_empty_table_nobody_can_do_without_is_refused(engine: DuckDBEngine) -> None:
    engine.register(USERS, ())
    assert check(engine, rows=0).problems == ("silver.users: row_count measured 0, allowed more than 0 rows",)


def test_freshness_reads_the_time_of_the_run_and_only_warns(engine: DuckDBEngine) -> None:
    stale = check(engine, at=NOW + timedelta(days=9, hours=12))
    found = named(stale, "freshness")
    assert (found.outcome, found.measured) == (Outcome.WARN, "9.5 days")
    assert found.threshold == "less than 2 days since the newest _ingested_at (else warn)"
    assert (stale.opens, stale.outcome) == (True, Outcome.WARN)


@pytest.fixture(params=["enabled", "disabled", "level", "logger", "filter"])
def switched_logging(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every way an application may silence Soda's log."""
    soda = logging.getLogger("soda")
    level, deaf = soda.level, lambda record: False
    match request.param:
        case "disabled":
            logging.disable(logging.CRITICAL)
        case "level":
            soda.setLevel(logging.CRITICAL + 1)
        case "logger":
            soda.disabled = True
        case "filter":
            soda.addFilter(deaf)
    yield str(request.param)
    logging.disable(logging.NOTSET)
    soda.setLevel(level)
    soda.disabled = False
    soda.removeFilter(deaf)


def test_a_check_that_cannot_run_shuts_the_gate_whatever_logging_does(
    engine: DuckDBEngine, switched_logging: str
) -> None:
    engine.connection.execute("DROP VIEW silver.marketing_channels")
    result = check(engine)
    assert named(result, "channel_id: invalid").outcome is Outcome.NOT_EVALUATED
    assert any("Soda reported an error: Could not execute invalid reference query" in p for p in result.problems)
    assert any(p.startswith("silver.users: channel_id: invalid was not evaluated") for p in result.problems)
    assert any(p.endswith("20 were evaluated, 21 are declared") for p in result.problems)


def test_an_error_that_soda_only_logs_is_heard_whatever_logging_does(
    engine: DuckDBEngine, switched_logging: str, tmp_path: Path
) -> None:
    column = {"name": "plan_id", "checks": [{"missing": None}, {"missing": None}]}
    path = write_contract(
        tmp_path, declared("silver.plans"), {"dataset": "lakehouse/silver/plans", "columns": [column]}
    )
    assert any(e.startswith("Duplicate identity") for e in run_soda(engine.connection, path, NOW).errors)


def test_the_applications_logging_is_left_as_it_was(engine: DuckDBEngine, caplog: pytest.LogCaptureFixture) -> None:
    soda = logging.getLogger("soda")
    soda.setLevel(logging.CRITICAL)
    logging.disable(logging.WARNING)
    try:
        engine.connection.execute("DROP VIEW silver.marketing_channels")
        check(engine)
        assert (soda.level, soda.propagate, soda.handlers) == (logging.CRITICAL, True, [])
        assert logging.root.manager.disable == logging.WARNING
    finally:
        logging.disable(logging.NOTSET)
        soda.setLevel(logging.NOTSET)
    assert [r for r in caplog.records if r.name == "soda"] == []


def test_soda_keeps_no_collector_of_the_applications_records(engine: DuckDBEngine) -> None:
    check(engine)
    from soda_core.common.logs import _active_logs

    assert _active_logs.get() is None


def test_whatever_soda_raises_shuts_the_gate_with_its_words(
    engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> NoReturn:
        raise RuntimeError("out of luck\nand of lines")

    monkeypatch.setattr("soda_core.contracts.verify_contract_locally", fail)
    result = check(engine)
    assert "silver.users: Soda reported an error: RuntimeError: out of luck" in result.problems
    assert "silver.users: checks: 0 were evaluated, 21 are declared" in result.problems
    assert "silver.users: rows tested: Soda tested none, 20 were written" in result.problems
    assert {c.outcome for c in result.checks} == {Outcome.NOT_EVALUATED}


class _Catalog(StrEnum):
    TEMP = "temp"


def test_a_temporary_view_whose_schema_soda_leaves_unevaluated_without_a_word_is_refused(
    engine: DuckDBEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(_Catalog.TEMP, "things", "", (Column("a", TEXT, ""), Column("n", COUNT, "")), ("a",))  # type: ignore[arg-type]
    columns = [{"name": "a", "data_type": "VARCHAR"}, {"name": "n", "data_type": "BIGINT"}]
    checks = [{"schema": None}, {"row_count": {"threshold": {"must_be_greater_than": 0, "level": "warn"}}}]
    write_contract(tmp_path, table, {"dataset": "lakehouse/temp/things", "checks": checks, "columns": columns})
    monkeypatch.setattr(contracts, "CONTRACTS", tmp_path)
    engine.connection.execute("CREATE TEMP VIEW things AS SELECT 'x' AS a, 1::BIGINT AS n")
    result = check(engine, table, 1)
    assert named(result, "row_count").outcome is Outcome.PASSED
    assert named(result, "schema").outcome is Outcome.NOT_EVALUATED
    assert result.problems == (
        "temp.things: checks: 1 were evaluated, 2 are declared",
        "temp.things: schema was not evaluated, allowed 0 differences from the declaration",
    )


def test_a_contract_without_checks_is_refused_before_anything_runs(
    engine: DuckDBEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load(contract_path(USERS).read_text())
    del content["checks"]
    for column in content["columns"]:
        column.pop("checks", None)
    path = write_contract(tmp_path, USERS, content)
    monkeypatch.setattr(contracts, "CONTRACTS", tmp_path)
    with pytest.raises(ContractError, match="a contract needs 'checks'") as caught:
        check(engine)
    assert str(caught.value.where).startswith(f"{path}:1")


def test_a_column_of_another_type_is_refused_though_soda_takes_it_for_the_same(engine: DuckDBEngine) -> None:
    engine.connection.execute(
        "ALTER VIEW silver.users RENAME TO sound; CREATE VIEW silver.users AS "
        "SELECT * REPLACE (_line::DECIMAL(18,2) AS _line) FROM silver.sound"
    )
    result = check(engine)
    assert named(result, "schema").outcome is Outcome.PASSED
    assert result.problems == ("silver.users: schema: column _line is DECIMAL(18,2), declared BIGINT",)


def test_missing_extra_and_mistyped_columns_are_named(engine: DuckDBEngine) -> None:
    engine.connection.execute(
        "ALTER VIEW silver.users RENAME TO sound; CREATE VIEW silver.users AS "
        "SELECT * EXCLUDE (name) REPLACE (1.5::DOUBLE AS device), 1 AS nickname FROM silver.sound"
    )
    result = check(engine)
    found = named(result, "schema")
    assert found.outcome is Outcome.FAILED
    assert found.measured == "name is missing; nickname is not declared; device is DOUBLE, not VARCHAR"
    assert not result.opens


def test_money_of_another_scale_is_refused(engine: DuckDBEngine) -> None:
    engine.connection.execute(
        "ALTER VIEW silver.plans RENAME TO sound; CREATE VIEW silver.plans AS "
        "SELECT * REPLACE (monthly_price::DECIMAL(18,3) AS monthly_price) FROM silver.sound"
    )
    result = check(engine, declared("silver.plans"), 0)
    assert named(result, "schema").measured == "monthly_price is DECIMAL(18,3), not DECIMAL(18,2)"


def test_the_gate_opens_no_connection_and_leaves_the_engine_usable(
    engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("the gate went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert check(engine).opens
    assert engine.query("SELECT 1 AS one").column(0).to_pylist() == [1]
    from soda_core.common.env_config_helper import EnvConfigHelper

    assert EnvConfigHelper().soda_core_telemetry_enabled == 0


@given(
    counts=st.tuples(*[st.integers(0, 10**9)] * 3),
    limit=st.floats(0, 1, allow_nan=False),
)
def test_the_quarantined_share_is_refused_exactly_above_its_limit(counts: tuple[int, int, int], limit: float) -> None:
    published, duplicates, quarantined = counts
    balance = Balance(sum(counts), published, duplicates, quarantined)
    sentence = check_quarantined_share("silver.users", balance, limit)
    share = quarantined / balance.received if balance.received else 0.0
    if sentence is None:
        assert share <= limit or share == pytest.approx(limit)
    else:
        assert share >= limit or share == pytest.approx(limit)
        assert sentence.startswith(f"silver.users: {quarantined} of {balance.received} received rows (")


def test_a_table_that_received_nothing_refused_nothing() -> None:
    assert check_quarantined_share("silver.users", Balance(0, 0, 0, 0), 0.0) is None
    assert check_quarantined_share("silver.users", Balance(10, 9, 0, 1), 0.1) is None
    assert check_quarantined_share("silver.users", Balance(10, 8, 0, 2), 0.1) == (
        "silver.users: 2 of 10 received rows (20.00%) were quarantined, allowed at most 10.00% "
        "(gates.max_quarantined_share)"
    )
