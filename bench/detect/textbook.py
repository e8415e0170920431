"""The job most people write first: group statistics joined to every row, and a range window that counts a minute.

    spark-submit --packages io.delta:... bench/detect/textbook.py INPUT OUTPUT        (Delta in, Delta out)

It answers a similar question, not the same: its z includes the row itself, its minute spans 61 seconds and merges
sub-seconds, its days without transactions do not count, and it knows neither peers nor bursts. It is here for its time.
"""

from __future__ import annotations

import sys

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as f


def main(source: str, target: str) -> None:
    spark = (
        SparkSession.builder.appName("textbook")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    write_all(spark, source, target)
    spark.stop()


def write_all(spark: SparkSession, source: str, target: str) -> None:
    transactions = spark.read.format("delta").load(source)
    detect(transactions).write.format("delta").mode("overwrite").save(f"{target}/transaction_anomalies")
    flagged = spark.read.format("delta").load(f"{target}/transaction_anomalies")
    for name, key in {"daily": "transaction_date", "merchant": "merchant_id", "account": "account_id"}.items():
        totals = transactions.groupBy(key).agg(f.count("*").alias("transactions"), f.sum("amount").alias("amount"))
        counts = flagged.groupBy(key).agg(f.count("*").alias("anomalies"))
        summary = totals.join(counts, key, "left").fillna(0, ["anomalies"])
        summary.write.format("delta").mode("overwrite").save(f"{target}/{name}_summary")


def detect(transactions: DataFrame) -> DataFrame:
    statistics = transactions.groupBy("account_id").agg(
        f.avg("amount").alias("mean"), f.stddev("amount").alias("deviation")
    )
    days = transactions.groupBy("account_id", "transaction_date").agg(f.count("*").alias("day_count"))
    usual = days.groupBy("account_id").agg(
        f.avg("day_count").alias("day_mean"), f.stddev("day_count").alias("day_deviation")
    )
    minute = Window.partitionBy("account_id").orderBy(f.col("occurred_at").cast("long")).rangeBetween(-60, 0)
    judged = (
        transactions.join(statistics, "account_id")
        .join(days, ["account_id", "transaction_date"])
        .join(usual, "account_id")
        .withColumn("in_a_minute", f.count("*").over(minute))
        .withColumn("z", f.try_divide(f.col("amount") - f.col("mean"), f.col("deviation")))
        .withColumn("day_z", f.try_divide(f.col("day_count") - f.col("day_mean"), f.col("day_deviation")))
        .withColumn("velocity", f.col("in_a_minute") > 10)
        .withColumn("high_amount", f.col("z") > 3)
        .withColumn("very_high_amount", f.col("amount") > 10000)
        .withColumn("frequency", (f.col("day_z") > 3) & (f.col("day_count") >= 10))
    )
    return judged.where("velocity or high_amount or very_high_amount or frequency")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
