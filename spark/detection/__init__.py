"""Anomaly detection as DataFrames: one code for Apache Spark, Spark Connect and Sail (docs/detection.md)."""

from __future__ import annotations

from spark.detection.anomalies import Keep, Profiles, detect, profile
from spark.detection.tables import ANOMALIES_TABLE, Stamp, store_tables

__all__ = ["ANOMALIES_TABLE", "Keep", "Profiles", "Stamp", "detect", "profile", "store_tables"]
