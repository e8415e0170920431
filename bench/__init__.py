"""Benchmarks anyone can repeat: ours beside its peers in the same run."""

from __future__ import annotations

from bench.medallion import bench_medallion
from bench.sql import bench_sql

BENCHMARKS = {"medallion": bench_medallion, "sql": bench_sql}
