"""Settings every test shares."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Nothing leaves the machine; read by Prefect and Soda when they are first imported.
os.environ.update({
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "SODA_CORE_TELEMETRY_ENABLED": "false",
})  # fmt: skip

# The machine's speed is no property of the code; the same examples on every machine are.
settings.register_profile("lakehouse", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("lakehouse")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-case-on-spark", action="store_true", help="run on Spark too what Sail runs: ten minutes more"
    )
