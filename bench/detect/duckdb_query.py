"""The same four rules as one DuckDB query over Parquet files, written to Parquet: what a bare engine takes.

    python -m bench.detect.duckdb_query DATABASE_THREADS OUTPUT FILE...

It knows no bursts, peers, scores, gates or versions, and its sums of squares are doubles.
"""

from __future__ import annotations

import sys
import time

import duckdb

from lake.rules import AnomalyRules
from sql.engines.duckdb import sql_text

_QUERY = """
WITH rows AS (
    SELECT *, epoch_us(occurred_at) AS micros, CAST(amount * 100 AS BIGINT) AS cents FROM read_parquet({files})),
days AS (SELECT account_id, transaction_date, count(*) AS c FROM rows GROUP BY ALL),
accounts AS (
    SELECT account_id, count(*) AS n, sum(cents) AS s, sum(cents::DOUBLE * cents) AS q FROM rows GROUP BY ALL),
usual AS (
    SELECT account_id, max(transaction_date) - min(transaction_date) AS m, sum(c) AS s, sum(c * c) AS q
    FROM days GROUP BY ALL),
judged AS (
    SELECT rows.*, days.c, n - 1 AS m, accounts.s - cents AS others, q - cents::DOUBLE * cents AS squares,
           lag(micros, {k}) OVER (PARTITION BY rows.account_id ORDER BY micros, transaction_id) > micros - {width}
               AS velocity
    FROM rows JOIN accounts USING (account_id) JOIN days USING (account_id, transaction_date)),
flagged AS (
    SELECT judged.*, cents > {very_high} AS very_high,
           judged.m >= {history} AND cents - others / judged.m
               > {z} * sqrt(greatest(squares - others / judged.m * others, 0) / (judged.m - 1))
               AS high,
           c >= {count} AND c - (usual.s - c) / usual.m > {day_z} * sqrt(
               greatest(usual.q - c * c - (usual.s - c) / usual.m * (usual.s - c), 0) / (usual.m - 1)) AS busy
    FROM judged JOIN usual USING (account_id))
SELECT transaction_id, account_id, merchant_id, category, occurred_at, amount, velocity, high, very_high, busy
FROM flagged WHERE velocity OR high OR very_high OR busy
"""


def main(threads: int, output: str, files: list[str]) -> None:
    rules = AnomalyRules()
    query = _QUERY.format(
        files="[" + ", ".join(sql_text(file) for file in files) + "]",
        k=rules.velocity_count,
        width=rules.velocity_window_s * 1_000_000,
        very_high=int(rules.very_high_amount * 100),
        history=rules.min_history,
        z=rules.z_threshold,
        count=rules.frequency_min_count,
        day_z=rules.frequency_z_threshold,
    )
    began = time.monotonic()
    with duckdb.connect(config={"threads": threads, "temp_directory": f"{output}.spill"}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"COPY ({query}) TO {sql_text(output)} (FORMAT parquet, COMPRESSION zstd)")
    sys.stdout.write(f"{time.monotonic() - began:.2f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
