"""Anomalies against the truth: what fired, what was injected, and both, joined in DuckDB and counted per account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lake.errors import BadInputError
from lake.rules import Rule
from lake.tables.anomalies import TRANSACTION_ANOMALIES, TRANSACTION_TRUTH
from lake.tables.silver import TRANSACTIONS
from sql.engines.duckdb import DuckDBEngine, sql_text
from tasks.evaluation.bootstrap import Array, bootstrap, interval
from tasks.evaluation.figures import ANY_RULE, DecoyFigures, Estimate, Evaluation, KindFigures, RuleFigures

LINES = (*(rule.value for rule in Rule), ANY_RULE)
# What the truth says of a decoy.
_NO_RULE = "none"
_RUN = "./lakehouse transactions run"

_MARKS = f"""
CREATE OR REPLACE TEMP TABLE evaluated_marks AS
WITH fired AS (SELECT transaction_id, unnest(rules) AS rule FROM gold.transaction_anomalies),
injected AS (SELECT transaction_id, rule FROM audit.transaction_truth WHERE rule <> '{_NO_RULE}'),
by_rule AS (
    SELECT
        transaction_id,
        rule,
        fired.transaction_id IS NOT NULL AS flagged,
        injected.transaction_id IS NOT NULL AS injected
    FROM fired FULL JOIN injected USING (transaction_id, rule)
),
marks AS (
    SELECT * FROM by_rule
    UNION ALL
    SELECT transaction_id, '{ANY_RULE}', bool_or(flagged), bool_or(injected) FROM by_rule GROUP BY transaction_id
)
SELECT *, bool_or(injected) OVER (PARTITION BY transaction_id) AS injected_for_any FROM marks
"""

_LANDED = """
CREATE OR REPLACE TEMP TABLE evaluated_landed AS
SELECT transaction_id, account_id, CAST(amount * 100 AS BIGINT) AS cents FROM silver.transactions
WHERE transaction_id IN (
    SELECT transaction_id FROM evaluated_marks UNION ALL SELECT transaction_id FROM audit.transaction_truth
)
"""

# What is counted for each rule, in this order; the bootstrap weighs these sums.
_COUNTS = {
    "flagged": "count(*) FILTER (flagged{and_rule})",
    "injected": "count(*) FILTER (injected{and_rule})",
    "found": "count(*) FILTER (flagged AND injected{and_rule})",
    "cents_injected": "coalesce(sum(cents) FILTER (injected{and_rule}), 0)",
    "cents_found": "coalesce(sum(cents) FILTER (flagged AND injected{and_rule}), 0)",
}


def evaluate(
    engine: DuckDBEngine,
    anomalies: Sequence[Path],
    transactions: Sequence[Path],
    truth: Sequence[Path],
    *,
    seed: int,
    replicates: int,
) -> Evaluation:
    """Precision, recall, alerts a day and value-weighted recall of each rule, with 95 % bootstrap intervals.

    Memory does not grow with the accounts: they are counted in DuckDB and pass through the bootstrap in batches.

    Args:
        engine: Where to join; its views of the three tables are replaced.
        anomalies: Parquet files of gold.transaction_anomalies; rows without a rule are no alerts.
        transactions: Parquet files of silver.transactions, the version the anomalies were judged on.
        truth: Parquet files of audit.transaction_truth.
        seed: Of the bootstrap.
        replicates: How often accounts are drawn; 1,000 settle the interval to about its second digit.

    Raises:
        BadInputError: There are no transactions or no truth about them, or the three do not belong together.
        StorageError: Files could not be read, or memory and scratch space ran out.
    """
    if replicates < 1:
        raise BadInputError(f"{replicates} bootstrap replicates", mend="1 or more, such as 1000")
    for table, files in ((TRANSACTION_ANOMALIES, anomalies), (TRANSACTIONS, transactions), (TRANSACTION_TRUTH, truth)):
        engine.register(table, files)
    judged = _judged(engine)
    engine.execute(_MARKS)
    engine.execute(_LANDED)
    not_landed = _require_one_set(engine)
    resampled = bootstrap(_per_account(engine), seed, replicates, len(LINES) * len(_COUNTS))
    shape = (replicates, len(LINES), len(_COUNTS))
    return Evaluation(
        transactions=judged["transactions"],
        accounts=judged["accounts"],
        days=judged["days"],
        replicates=replicates,
        seed=seed,
        not_landed=not_landed,
        rules=_rules(engine, resampled.reshape(shape), judged["days"]),
        kinds=_kinds(engine),
        decoys=_decoys(engine),
    )


def _judged(engine: DuckDBEngine) -> dict[str, int]:
    row: dict[str, Any] = engine.query(
        "SELECT count(*) AS transactions, count(DISTINCT account_id) AS accounts, "
        "max(transaction_date) - min(transaction_date) + 1 AS days FROM silver.transactions"
    ).to_pylist()[0]
    if not row["transactions"]:
        raise BadInputError("there are no transactions to evaluate", where=TRANSACTIONS.full_name, mend=_RUN)
    return row


def _require_one_set(engine: DuckDBEngine) -> int:
    """Stop unless anomalies, truth and transactions belong together; says how many of the truth did not land."""
    row = engine.query(
        "SELECT count(DISTINCT transaction_id) AS told, count(DISTINCT transaction_id) FILTER (transaction_id NOT IN "
        "(SELECT transaction_id FROM evaluated_landed)) AS absent FROM audit.transaction_truth"
    ).to_pylist()[0]
    strangers = engine.query(
        "SELECT count(*) AS n FROM gold.transaction_anomalies WHERE len(rules) > 0 AND transaction_id NOT IN "
        "(SELECT transaction_id FROM evaluated_landed)"
    ).to_pylist()[0]["n"]
    rules = ", ".join(sql_text(line) for line in LINES)
    unknown = engine.query(f"SELECT min(rule) AS rule FROM evaluated_marks WHERE rule NOT IN ({rules})").to_pylist()
    if not row["told"]:
        raise BadInputError(
            "nothing is known about what was injected; only generated transactions can be evaluated",
            where=TRANSACTION_TRUTH.full_name,
            mend=f"{_RUN}   (generates transactions unless told not to)",
        )
    if row["told"] == row["absent"]:
        raise BadInputError(
            f"the truth is about {row['told']} transactions, none of them in {TRANSACTIONS.full_name}",
            where=TRANSACTION_TRUTH.full_name,
            mend=f"land what was generated: {_RUN}",
        )
    if strangers:
        raise BadInputError(
            f"{strangers} anomalies are of transactions that {TRANSACTIONS.full_name} does not hold",
            where=TRANSACTION_ANOMALIES.full_name,
            mend=f"judge them anew: {_RUN}",
        )
    if unknown[0]["rule"] is not None:
        raise BadInputError(
            f"no rule is called {unknown[0]['rule']!r}", mend=f"there is {', '.join(rule.value for rule in Rule)}"
        )
    return int(row["absent"])


def _per_account(engine: DuckDBEngine) -> Iterator[Array]:
    """Counts of every account, those without any included: accounts × (rules · counts)."""
    columns = {
        f"{name}_{line}": count.format(and_rule=f" AND rule = {sql_text(line)}")
        for line in LINES
        for name, count in _COUNTS.items()
    }
    counted = ", ".join(f"CAST({count} AS DOUBLE) AS {name}" for name, count in columns.items())
    filled = ", ".join(f"coalesce({name}, 0) AS {name}" for name in columns)
    select = (
        f"WITH counted AS (SELECT account_id, {counted} FROM evaluated_marks JOIN evaluated_landed "
        "USING (transaction_id) GROUP BY account_id), "
        "accounts AS (SELECT DISTINCT account_id FROM silver.transactions) "
        f"SELECT {filled} FROM accounts LEFT JOIN counted USING (account_id) ORDER BY account_id"
    )
    schema = pa.schema([pa.field(name, pa.float64()) for name in columns])
    for batch in engine.run(select, schema, "evaluation"):
        yield np.column_stack([column.to_numpy() for column in batch.columns])


def _rules(engine: DuckDBEngine, resampled: Array, days: int) -> tuple[RuleFigures, ...]:
    """Figures of every line.

    Args:
        engine: Holds the marks.
        resampled: Counts of every replicate: replicates × rules × counts.
        days: Days of the transactions.
    """
    counted = ", ".join(f"{count.format(and_rule='')} AS {name}" for name, count in _COUNTS.items())
    rows = engine.query(
        f"SELECT rule, {counted}, count(*) FILTER (flagged AND NOT injected AND injected_for_any) AS otherwise "
        "FROM evaluated_marks JOIN evaluated_landed USING (transaction_id) GROUP BY rule"
    ).to_pylist()
    by_rule = {row["rule"]: row for row in rows}
    nothing: dict[str, int] = dict.fromkeys((*_COUNTS, "otherwise"), 0)
    return tuple(
        _figures(line, by_rule.get(line, nothing), dict(zip(_COUNTS, resampled[:, at].T, strict=True)), days)
        for at, line in enumerate(LINES)
    )


def _figures(line: str, counts: dict[str, Any], resampled: dict[str, Array], days: int) -> RuleFigures:
    def ratio(above: str, below: str) -> Estimate:
        if not counts[below]:
            return Estimate(None, None, None)
        limits = interval(resampled[above], resampled[below]) or (None, None)
        return Estimate(int(counts[above]) / int(counts[below]), *limits)

    flagged, injected, found = int(counts["flagged"]), int(counts["injected"]), int(counts["found"])
    per_day = interval(resampled["flagged"], float(days)) or (None, None)
    return RuleFigures(
        rule=line,
        flagged=flagged,
        injected=injected,
        true_positives=found,
        false_alarms=flagged - found,
        injected_otherwise=int(counts["otherwise"]),
        missed=injected - found,
        precision=ratio("found", "flagged"),
        recall=ratio("found", "injected"),
        alerts_per_day=Estimate(flagged / days, *per_day),
        value_weighted_recall=ratio("cents_found", "cents_injected"),
    )


def _kinds(engine: DuckDBEngine) -> tuple[KindFigures, ...]:
    rows = engine.query(
        "SELECT rule, why, count(*) AS injected, count(*) FILTER (flagged) AS found "
        "FROM audit.transaction_truth JOIN evaluated_landed USING (transaction_id) "
        "JOIN evaluated_marks USING (transaction_id, rule) GROUP BY rule, why ORDER BY rule, why"
    ).to_pylist()
    return tuple(KindFigures(**row) for row in rows)


def _decoys(engine: DuckDBEngine) -> tuple[DecoyFigures, ...]:
    rows = engine.query(
        f"SELECT why, count(*) AS decoys, count(*) FILTER (transaction_id IN (SELECT transaction_id "
        f"FROM evaluated_marks WHERE rule = '{ANY_RULE}' AND flagged)) AS flagged "
        f"FROM audit.transaction_truth JOIN evaluated_landed USING (transaction_id) WHERE rule = '{_NO_RULE}' "
        "GROUP BY why ORDER BY why"
    ).to_pylist()
    return tuple(DecoyFigures(**row) for row in rows)
