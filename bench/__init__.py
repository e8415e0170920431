"""Benchmarks anyone can repeat: ours beside its peers in the same run."""

from __future__ import annotations

from bench.detect import bench_detect
from bench.feed import bench_feed
from bench.handbook import bench_handbook
from bench.medallion import bench_medallion
from bench.sql import bench_sql

BENCHMARKS = {
    "detect": bench_detect,
    "feed": bench_feed,
    "handbook": bench_handbook,
    "medallion": bench_medallion,
    "sql": bench_sql,
}
