"""What every transaction has to fulfil before any is judged, counted in one pass (and one more for repeated ids).

The rules and their names are those of silver.transactions (sql/models/silver/transactions.sql): detection promises its
results for such rows only, and a job that is handed other people's tables cannot send rows to quarantine.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from lake.errors import BadInputError
from spark.job.places import spark_failures
from spark.job.reading import AMOUNT_TYPE, COLUMNS, TEXTS, UNREADABLE_AMOUNT, UNREADABLE_TIME

# ISO 8583 gives an amount twelve digits, two of them cents.
MAX_AMOUNT = "9999999999.99"
FIRST_MOMENT, AFTER_LAST_MOMENT = "1900-01-01T00:00:00Z", "2201-01-01T00:00:00Z"
DUPLICATE = "transaction_id_duplicate"


def checked(transactions: DataFrame, where: str, *, trust_ids: bool = False) -> DataFrame:
    """The transactions as detection takes them.

    Args:
        transactions: From `read_transactions`.
        where: Their path, for the error.
        trust_ids: Whether to do without the search for repeated ids, which shuffles a number for each row.

    Raises:
        BadInputError: Rows break a rule; names each rule with their number and the id of one.
    """
    rules = broken_rules(transactions.columns)
    with spark_failures(lambda told: BadInputError(f"cannot be read: {told}", where=where)):
        found = transactions.agg(*(part for name, broken in rules.items() for part in _counted(name, broken))).collect()
        told = [_told(name, found[0][name], found[0][f"{name}_example"]) for name in rules if found[0][name]]
        told += [] if trust_ids or told else duplicates(transactions)
    if told:
        raise BadInputError(
            "; ".join(told), where=where, mend="take these rows out or mend them; the previous tables stay as they are"
        )
    amount = f.col("amount").cast(AMOUNT_TYPE).alias("amount")
    return transactions.select(*(amount if name == "amount" else f.col(name) for name in COLUMNS))


def broken_rules(columns: list[str]) -> dict[str, Column]:
    """Rules by name, each with what is true of a row that breaks it."""
    rules = {f"{name}_missing": f.col(name).isNull() | (_bare(name) == "") for name in TEXTS}
    moment, amount = f.col("occurred_at"), f.col("amount")
    is_read = {name: f.lit(True) for name in ("occurred_at", "amount")}
    for name, text in (("occurred_at", UNREADABLE_TIME), ("amount", UNREADABLE_AMOUNT)):
        if text in columns:
            rules[f"{name}_unreadable"] = f.col(text).isNotNull()
            is_read[name] = f.col(text).isNull()
    before = moment < f.lit(FIRST_MOMENT).cast("timestamp")
    after = moment >= f.lit(AFTER_LAST_MOMENT).cast("timestamp")
    return {
        **rules,
        "occurred_at_missing": moment.isNull() & is_read["occurred_at"],
        "occurred_at_out_of_range": before | after,
        "amount_missing": amount.isNull() & is_read["amount"],
        "amount_out_of_range": (amount < 0) | (amount > f.lit(MAX_AMOUNT).cast(AMOUNT_TYPE)),
    }


def duplicates(transactions: DataFrame) -> list[str]:
    """What is wrong with ids that stand on more than one row; nothing when each is unique.

    Hashes of eight bytes are compared first; only where two are equal, the ids themselves.
    """
    hashes = transactions.select(f.xxhash64("transaction_id").alias("_hash"))
    repeated = hashes.groupBy("_hash").agg(f.count(f.lit(1)).alias("_rows")).where(f.col("_rows") > 1)
    if not repeated.limit(1).collect():
        return []
    suspects = transactions.select("transaction_id", f.xxhash64("transaction_id").alias("_hash"))
    ids = suspects.join(repeated, "_hash", "left_semi").groupBy("transaction_id").agg(f.count(f.lit(1)).alias("_rows"))
    total = ids.where(f.col("_rows") > 1).agg(f.sum("_rows").alias("rows"), f.min("transaction_id").alias("id"))
    found = total.collect()[0]
    return [_told(DUPLICATE, found["rows"], found["id"])] if found["rows"] else []


def _bare(name: str) -> Column:
    """Without spaces around, except ids: those are taken as they are."""
    return f.col(name) if name.endswith("_id") else f.trim(name)


def _counted(name: str, broken: Column) -> tuple[Column, Column]:
    example = f.min(f.when(broken, f.coalesce("transaction_id", f.lit(""))))
    return f.count(f.when(broken, f.lit(1))).alias(name), example.alias(f"{name}_example")


def _told(rule: str, rows: int, example: str) -> str:
    return f"{rule}: {rows} rows, for example transaction_id {example!r}"
