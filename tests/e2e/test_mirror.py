"""`lakehouse mirror` from outside, to an S3 server: what others read there is what the lake's readers read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from tests.e2e.conftest import Cli
from tests.lake.emulators import S3_ENVIRONMENT, make_bucket, s3_server

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        make_bucket(address, "lake")
        yield address


@pytest.fixture
def to_s3(endpoint: str) -> dict[str, str]:
    """What a person sets to mirror to the server."""
    return {**S3_ENVIRONMENT, "LAKEHOUSE_MIRROR__ENDPOINT": endpoint, "LAKEHOUSE_MIRROR__ALLOW_HTTP": "true"}


def options(endpoint: str) -> dict[str, str]:
    names = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"}
    environment = {name: value for name, value in S3_ENVIRONMENT.items() if name in names}
    return {**environment, "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"}


def test_every_published_silver_and_gold_table_is_read_from_the_bucket_as_from_the_lake(
    built: Cli, endpoint: str, to_s3: dict[str, str]
) -> None:
    done = built.json("mirror", "s3://lake/all", "--verify", **to_s3)
    tables = {t["table"]: t["version"] for t in built.json("tables")}
    copied = {t["table"]: t["version"] for t in done["tables"]}
    assert copied == {name: version for name, version in tables.items() if name.startswith(("silver.", "gold."))}
    for name in ("gold.revenue", "silver.payments"):
        path = name.replace(".", "/")
        copy = pl.read_delta(f"s3://lake/all/{path}", storage_options=options(endpoint))
        ours = DeltaTable(str(built.folder / "data" / "lake" / path), version=tables[name]).to_pyarrow_table()
        assert copy.equals(pl.DataFrame(ours))
        assert copy.height > 0
    assert "exports/quality_report.json" in done["exports"]
    again = built.json("mirror", "s3://lake/all", **to_s3)
    assert [(t["entries"], t["files"]) for t in again["tables"]] == [(0, 0)] * len(tables_of(again))


def tables_of(done: Any) -> list[str]:
    return [t["table"] for t in done["tables"]]


def test_layers_are_chosen_by_option_and_the_place_by_setting(built: Cli, to_s3: dict[str, str]) -> None:
    done = built.json("mirror", "--layer", "gold", **to_s3, LAKEHOUSE_MIRROR__TO="s3://lake/gold-only")
    assert {name.partition(".")[0] for name in tables_of(done)} == {"gold"}


def test_failures_say_what_to_type_and_end_with_their_codes(built: Cli, to_s3: dict[str, str], tmp_path: Path) -> None:
    assert "LAKEHOUSE_MIRROR__TO" in built("mirror", code=2).stderr
    assert "s3://bucket/prefix" in built("mirror", "ftp://x/y", code=4).stderr
    assert "the bucket or container is not there" in built("mirror", "s3://absent-bucket/x", code=6, **to_s3).stderr
    down = {**to_s3, "LAKEHOUSE_MIRROR__ENDPOINT": "http://127.0.0.1:9", "LAKEHOUSE_MIRROR__RETRIES": "1"}
    assert "does not answer" in built("mirror", "s3://lake/x", code=6, **down).stderr
    assert "lie in each other" in built("mirror", "data/lake/copy", code=4).stderr
    built("mirror", str(tmp_path / "copy"), "--layer", "gold")
    entry = next((tmp_path / "copy" / "gold" / "revenue" / "_delta_log").glob("*.json"))
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    lines[0]["commitInfo"]["lakehouse"]["run_id"] = "of another history"
    entry.write_text("\n".join(json.dumps(line) for line in lines))
    assert "is not ours" in built("mirror", str(tmp_path / "copy"), "--layer", "gold", code=11).stderr
