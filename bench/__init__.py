"""Benchmarks anyone can repeat: ours beside its peers in the same run."""

from __future__ import annotations

from bench.medallion import bench_medallion

BENCHMARKS = {"medallion": bench_medallion}
