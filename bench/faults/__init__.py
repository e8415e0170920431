"""What can go wrong under ingest, made to happen: the power, processes, disks, clocks, callers."""

from __future__ import annotations

from bench.faults.benchmark import bench_faults

__all__ = ["bench_faults"]
