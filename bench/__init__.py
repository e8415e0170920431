"""Benchmarks anyone can repeat: ours beside its peers in the same run."""

from __future__ import annotations

from bench.detect import bench_detect
from bench.faults import bench_faults
from bench.feed import bench_feed
from bench.handbook import bench_handbook
from bench.ingest import bench_ingest, bench_soak
from bench.medallion import bench_medallion
from bench.orchestration import bench_orchestration
from bench.sql import bench_sql

BENCHMARKS = {
    "detect": bench_detect,
    "faults": bench_faults,
    "feed": bench_feed,
    "handbook": bench_handbook,
    "ingest": bench_ingest,
    "medallion": bench_medallion,
    "orchestration": bench_orchestration,
    "soak": bench_soak,
    "sql": bench_sql,
}
