"""The generated company: the same bytes from the same settings, known truth, and nothing half-written."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from lake.candidate import Run
from lake.errors import BadInputError, LakeBusyError, StorageError
from lake.settings import PROJECT_ROOT, EngineSettings, GenerateSettings, LandSettings
from lake.tables.bronze import COMPANY
from sql.engines.duckdb import DuckDBEngine
from tasks.generation import FORMATS, company, generate, row_groups, source_files
from tasks.landing import land, pending_files
from tasks.workspace import new_run

SMALL = GenerateSettings(scale=0.6, days=400, dirt_share=0.05)
PEOPLE = round(SMALL.scale * company.USERS_AT_SCALE_ONE)


def digests(inbox: Path) -> dict[str, str]:
    files = (path for path in inbox.rglob("*") if path.is_file() and path.name[0] != ".")
    return {str(f.relative_to(inbox)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def truth(inbox: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((inbox / "_ground_truth.json").read_text())
    return content


def rows(inbox: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(inbox / table / "*.parquet")


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company of three blocks, five per cent of it dirty."""
    place = tmp_path_factory.mktemp("company")
    assert generate(SMALL, place).written
    return place


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company without dirt at scale one, for what its rows say."""
    place = tmp_path_factory.mktemp("clean")
    generate(GenerateSettings(dirt_share=0), place)
    return place


@pytest.mark.parametrize(("chunk_rows", "threads"), [(1_000, 1), (100_000, 3), (10_000_000, 4)])
def test_chunks_and_threads_change_no_byte(inbox: Path, tmp_path: Path, chunk_rows: int, threads: int) -> None:
    generate(SMALL.model_copy(update={"chunk_rows": chunk_rows, "threads": threads}), tmp_path)
    assert digests(tmp_path) == digests(inbox)


def test_another_seed_gives_another_company(inbox: Path, tmp_path: Path) -> None:
    generate(SMALL.model_copy(update={"seed": 43}), tmp_path)
    assert digests(tmp_path)["events/generated-00000.parquet"] != digests(inbox)["events/generated-00000.parquet"]


def test_row_groups_and_files_end_after_fixed_numbers_of_rows(
    tmp_path: Path, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_groups, "ROW_GROUP_ROWS", 10_000)
    monkeypatch.setattr(source_files, "FILE_ROWS", 40_000)
    generate(SMALL, tmp_path)
    files = sorted((tmp_path / "events").glob("generated-0*.parquet"))
    assert [pq.read_metadata(f).num_rows for f in files[:-1]] == [40_000] * (len(files) - 1)
    assert rows(tmp_path, "events").equals(rows(inbox, "events").select(rows(tmp_path, "events").columns))


def test_the_same_company_is_not_written_twice_but_mended_when_a_file_is_gone(tmp_path: Path) -> None:
    first = generate(SMALL, tmp_path)
    before = digests(tmp_path)
    again = generate(SMALL, tmp_path)
    assert (again.written, again.rows) == (False, first.rows)
    (tmp_path / "refunds" / "generated-00000.parquet").unlink()
    assert generate(SMALL, tmp_path).written
    assert digests(tmp_path) == before


def test_a_second_company_in_the_same_place_is_refused_and_the_difference_named(inbox: Path) -> None:
    with pytest.raises(BadInputError, match=r"seed 42 → 7") as refused:
        generate(SMALL.model_copy(update={"seed": 7}), inbox)
    assert "LAKEHOUSE_LAND__INBOX" in (refused.value.mend or "")


def test_a_damaged_truth_is_named(tmp_path: Path) -> None:
    (tmp_path / "_ground_truth.json").write_text("{}")
    with pytest.raises(BadInputError, match="not a ground truth"):
        generate(SMALL, tmp_path)


def test_two_generators_in_one_place_the_second_says_so(tmp_path: Path) -> None:
    def during(done: int, people: int) -> None:
        with pytest.raises(LakeBusyError, match="another process"):
            generate(SMALL, tmp_path)

    generate(GenerateSettings(scale=0.01, days=90), tmp_path, progress=during)


def test_a_failure_on_the_way_leaves_no_file(tmp_path: Path) -> None:
    def fail(done: int, people: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        generate(SMALL, tmp_path, progress=fail)
    assert digests(tmp_path) == {}
    assert not list(tmp_path.rglob(".generated*"))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write generated files"):
        generate(SMALL, tmp_path / "file" / "inbox")


def test_progress_rises_to_all_people(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    generate(SMALL, tmp_path, progress=lambda done, people: told.append((done, people)))
    assert told == sorted(told)
    assert told[-1] == (PEOPLE, PEOPLE)


def test_the_truth_counts_what_the_files_hold(inbox: Path) -> None:
    for table in COMPANY:
        counts, found = truth(inbox)["tables"][table.name], rows(inbox, table.name)
        late = inbox / table.name / "generated-late-00000.parquet"
        assert counts["rows_total"] == found.height, table.name
        assert counts["late"] == (pq.read_metadata(late).num_rows if late.exists() else 0), table.name
        copies = found.height - found.unique().height
        assert counts["duplicates"] == copies, table.name
        assert counts["silver"]["received"] == sum(
            counts["silver"][part] for part in ("published", "duplicates", "quarantined")
        )


def test_dirt_takes_its_share_in_every_form(inbox: Path) -> None:
    for name in ("users", "sessions", "events", "payments"):
        counts = truth(inbox)["tables"][name]
        forms = ("missing", "unknown_code", "broken_reference", "out_of_range")
        dirty = counts["duplicates"] + sum(counts[form] for form in forms)
        # A fifth of the share is rows that are only late.
        assert dirty / counts["rows_clean"] == pytest.approx(0.8 * SMALL.dirt_share, rel=0.1), name
        assert all(counts[form] for form in forms if (name, form) != ("users", "out_of_range"))


def test_without_dirt_no_row_is_twice_late_or_broken(clean: Path) -> None:
    for name, counts in truth(clean)["tables"].items():
        assert counts["rows_total"] == counts["rows_clean"] == rows(clean, name).height
    assert not list(clean.rglob("generated-late*"))


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, pl.DataFrame]]:
    """Bronze rows by file format and table, without the ingest columns."""
    folder = tmp_path_factory.mktemp("formats")
    found: dict[str, dict[str, pl.DataFrame]] = {}
    for name in FORMATS:
        place = folder / name
        generate(GenerateSettings(scale=0.02, days=120, dirt_share=0.1), place, file_format=name)
        found[name] = _landed(place, folder / f"staging-{name}", new_run())
    return found


def _landed(inbox: Path, staging: Path, run: Run) -> dict[str, pl.DataFrame]:
    bronze = {}
    with DuckDBEngine(EngineSettings(), staging / "spill") as engine:
        for table in COMPANY:
            files = pending_files(inbox, table, lambda _: False, limit=100)
            candidate = land(engine, table, files, staging, run, LandSettings())
            assert candidate.balance.quarantined == 0, table.name
            columns = [c.name for c in table.payload]
            bronze[table.name] = pl.read_parquet(list(candidate.files)).select(columns).sort(columns)
    return bronze


@pytest.mark.parametrize("file_format", FORMATS[1:])
def test_every_file_format_lands_as_the_same_rows(landed: dict[str, dict[str, pl.DataFrame]], file_format: str) -> None:
    for name, expected in landed["parquet"].items():
        assert landed[file_format][name].equals(expected), name


def test_weekends_are_quiet_and_winters_busy(clean: Path) -> None:
    days = rows(clean, "sessions").select(day=pl.col("started_at").dt.date()).group_by("day").len()
    weekday = days.group_by(pl.col("day").dt.weekday() >= 6).agg(pl.col("len").mean()).sort("day")["len"]
    assert weekday[1] < 0.75 * weekday[0]
    second_year = days.filter(pl.col("day").dt.year() == 2025)
    months = second_year.group_by(pl.col("day").dt.month()).agg(pl.col("len").mean()).sort("day")["len"]
    # January and February against their neighbours half a year on, in spite of growth.
    assert months[0] + months[1] > months[6] + months[7]


def test_channels_differ_in_how_far_their_visitors_get(clean: Path) -> None:
    users = rows(clean, "users").select("user_id", "channel_id")
    signups = rows(clean, "events").filter(pl.col("event_type") == "signup").select("user_id").unique()
    rate = (
        users.join(signups.with_columns(signed=1), on="user_id", how="left")
        .group_by("channel_id")
        .agg(pl.col("signed").fill_null(0).mean())
    )
    measured = dict(rate.iter_rows())
    for channel in company.CHANNELS:
        assert measured[channel.channel_id] == pytest.approx(channel.signup, abs=0.04), channel.channel_id


def test_bad_support_drives_members_away(clean: Path) -> None:
    subscriptions = rows(clean, "subscriptions")
    left = subscriptions.group_by("user_id").agg((pl.col("end_reason") == "cancelled").any().alias("left"))
    scores = rows(clean, "support_tickets").drop_nulls("satisfaction").group_by("user_id")
    members = left.join(scores.agg(pl.col("satisfaction").mean()), on="user_id")
    churn = members.group_by(pl.col("satisfaction") < 2.5).agg(pl.col("left").fill_null(value=False).mean())
    content, unhappy = churn.sort("satisfaction")["left"]
    assert unhappy > 1.25 * content


def test_the_truth_names_the_experiment_with_an_effect_and_the_one_without(clean: Path) -> None:
    experiments = {e["experiment_id"]: e for e in truth(clean)["experiments"]}
    assert [e["has_effect"] for e in experiments.values()] == [True, False]
    variant = rows(clean, "experiment_assignments").select("experiment_id", "user_id", "variant")
    exposed = rows(clean, "experiment_exposures").join(variant, on=["experiment_id", "user_id"])
    converted = rows(clean, "experiment_conversions").select("experiment_id", "user_id").with_columns(converted=1)
    rates = (
        exposed.join(converted, on=["experiment_id", "user_id"], how="left")
        .group_by("experiment_id", "variant")
        .agg(pl.col("converted").fill_null(0).mean())
        .sort("variant")
    )
    for name, experiment in experiments.items():
        control, treatment = rates.filter(pl.col("experiment_id") == name)["converted"]
        assert treatment - control == pytest.approx(experiment["absolute_lift"], abs=0.04), name


def test_memory_does_not_grow_with_the_company(tmp_path: Path) -> None:
    script = (
        "import resource, sys; from pathlib import Path; from lake.settings import GenerateSettings; "
        "from tasks.generation import generate; "
        "generate(GenerateSettings(scale=float(sys.argv[1]), chunk_rows=200_000), Path(sys.argv[2])); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )

    def peak_kib(scale: float) -> int:
        command = [sys.executable, "-c", script, str(scale), str(tmp_path / str(scale))]
        return int(subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True).stdout)

    assert peak_kib(16) < 1.3 * peak_kib(4)
