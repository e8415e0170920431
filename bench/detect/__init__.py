"""Detection of anomalies measured beside its peers."""

from __future__ import annotations

from bench.detect.benchmark import bench_detect

__all__ = ["bench_detect"]
