"""`lakehouse bench handbook`: the rules on the simulated transactions of a published book, beside its baselines.

Le Borgne, Siblini, Lebichot and Bontempi, Reproducible Machine Learning for Credit Card Fraud Detection - Practical
Handbook, Université Libre de Bruxelles, 2022. Its data generator is written anew from its description (`simulator`),
its measures from their definitions (`ranking`); `protocol` says what is compared with what.
"""

from __future__ import annotations

from bench.handbook.benchmark import bench_handbook

__all__ = ["bench_handbook"]
