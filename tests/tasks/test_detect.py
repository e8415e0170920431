"""Which engine detects."""

from __future__ import annotations

import pytest

from lake.settings import Settings
from spark.java import find_java
from tasks.detect import chosen_engine


def test_sail_detects_where_no_java_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    assert chosen_engine(Settings()) == "sail"


@pytest.mark.spark
def test_spark_detects_where_java_is_found() -> None:
    assert find_java() is not None
    assert chosen_engine(Settings()) == "spark"


def test_the_configured_engine_detects_whatever_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    assert chosen_engine(Settings().with_transactions(None, "connect")) == "connect"
