"""The HTTP service measured under load, beside the service most people write and an endpoint that does nothing."""

from __future__ import annotations

from bench.ingest.benchmark import bench_ingest
from bench.ingest.soak import bench_soak

__all__ = ["bench_ingest", "bench_soak"]
