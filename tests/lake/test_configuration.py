"""A typo or an impossible value stops the process with one line that names file or variable, key and allowed values."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.configuration import DEFAULT_CONFIG, load_settings
from lake.errors import ConfigurationError
from lake.settings import Settings


def test_the_default_file_is_valid_and_says_what_the_code_assumes() -> None:
    assert load_settings(DEFAULT_CONFIG, {}) == Settings()


def test_the_environment_overrides_the_file() -> None:
    settings = load_settings(
        DEFAULT_CONFIG, {"LAKEHOUSE_GENERATE__SCALE": "5", "LAKEHOUSE_EXPORT__FORMATS": "[csv, parquet]", "OTHER": "x"}
    )
    assert settings.generate.scale == 5
    assert settings.export.formats == ("csv", "parquet")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("LAKEHOUSE_GENERATE__SCALE", "-3", ["generate.scale", "more than 0"]),
        ("LAKEHOUSE_GENERATE__SCALE", "nan", ["generate.scale"]),
        ("LAKEHOUSE_GENERATE__SCALLE", "3", ["unknown key generate.scalle", "scale"]),
        ("LAKEHOUSE_NONE", "1", ["unknown key none", "generate"]),
        ("LAKEHOUSE_EXPORT__FORMATS", "[xls]", ["export.formats", "csv or parquet"]),
        ("LAKEHOUSE_GENERATE__DAYS", "2.5", ["generate.days", "at least 60"]),
        ("LAKEHOUSE_GENERATE__START", "abc", ["generate.start"]),
        ("LAKEHOUSE_GENERATE", "3", ["generate"]),
        ("LAKEHOUSE_GENERATE__SCALE__DEEP", "3", ["generate.scale.deep"]),
        ("LAKEHOUSE_LAKE__ROOT", "data/inbox", ["same directory"]),
    ],
)
def test_a_bad_variable_is_named_with_what_is_allowed(variable: str, value: str, expected: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        load_settings(DEFAULT_CONFIG, {variable: value})
    text = str(error.value)
    assert "\n" not in text
    assert all(words in text for words in expected), text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("generate: {scael: 1}", ["unknown key generate.scael", "allowed: enabled, seed, scale"]),
        ("generate:\n  scale: [1", ["config.yaml:", "YAML"]),
        ("- a list", ["top level"]),
        ("lake: {lock_wait_s: soon}", ["lake.lock_wait_s", "at least 0"]),
    ],
)
def test_a_bad_file_is_named_with_key_and_allowed_values(tmp_path: Path, content: str, expected: list[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(ConfigurationError) as error:
        load_settings(path, {})
    assert str(path) in str(error.value)
    assert all(words in str(error.value) for words in expected), str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml"):
        load_settings(tmp_path / "none.yaml", {})
