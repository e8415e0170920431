"""A short soak of the real service: what it counts is what is there."""

from __future__ import annotations

import pytest

from bench.ingest.soak import Soak, soak


@pytest.mark.e2e
def test_a_soak_ends_at_its_commits_and_finds_every_acknowledged_row_in_the_table() -> None:
    found = soak(Soak(commits=150, minutes=2))
    (sample,) = found["runs"]
    assert sample["commits"] >= 150
    assert sample["errors"] == 0
    assert sample["rows"] == found["contents"]["rows"] == found["contents"]["identifiers"] > 0
    assert sample["writer_mb"] > 10
    assert [row["commits"] for row in found["table"]] == [f"{sample['commits']:,}"]
    assert f"{sample['rows']:,} rows were acknowledged, {sample['rows']:,} are in the table, 0 errors" in found["notes"]
