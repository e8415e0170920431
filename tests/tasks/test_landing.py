"""Landing: good rows land typed and exact, malformed rows and files go to quarantine with line and reason."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.candidate import Candidate, Run
from lake.errors import BadInputError, StorageError
from lake.settings import EngineSettings, LandSettings
from lake.tables import quarantine_of
from lake.tables import table as declared
from sql.engines.duckdb import DuckDBEngine
from tasks.landing import land, pending_files
from tasks.landing import landing as landing_module
from tasks.landing.csv_rows import read_csv

RUN = Run("run-1", datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
HEADER = "spend_id,channel_id,spend_date,amount,impressions,clicks\n"
GOOD = "s1,c1,2026-01-31,12.10,100,7\n"
REFUND_HEADER = "refund_id,payment_id,refunded_at,amount,reason\n"


@dataclass
class Door:
    """An inbox and an engine; lands what is dropped."""

    root: Path
    engine: DuckDBEngine
    settings: LandSettings = field(default_factory=LandSettings)

    def drop(self, name: str, content: str | bytes) -> Path:
        path = self.root / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def land(self, table: str = "marketing_spend") -> Candidate:
        bronze = declared(f"bronze.{table}")
        files = pending_files(self.root / "inbox", bronze, lambda _: False, limit=1000)
        candidate = land(self.engine, bronze, files, self.root / "staging", RUN, self.settings)
        assert candidate.balance.holds
        assert candidate.balance.published == sum(pq.read_metadata(f).num_rows for f in candidate.files)
        assert candidate.balance.quarantined == sum(pq.read_metadata(f).num_rows for f in candidate.quarantine_files)
        assert candidate.batches == tuple(file.batch_id for file in files)
        return candidate

    def landed(self, table: str = "marketing_spend") -> list[dict[str, Any]]:
        return rows_of(self.land(table).files, "_line")

    def refused(self, table: str = "marketing_spend") -> list[tuple[int, list[str], str]]:
        rows = rows_of(self.land(table).quarantine_files, "_line")
        return [(row["_line"], row["rules"], row["payload"]) for row in rows]


def rows_of(files: tuple[Path, ...], *order: str) -> list[dict[str, Any]]:
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return sorted(rows, key=lambda row: tuple(row[name] for name in order))


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with DuckDBEngine(EngineSettings(), tmp_path / "spill") as engine:
        yield Door(tmp_path, engine)


def json_line(**changes: str) -> str:
    """A good row of marketing_spend as JSON, with raw JSON in place of some values."""
    values = {
        "spend_id": '"s1"',
        "channel_id": '"c1"',
        "spend_date": '"2026-01-31"',
        "amount": "12.10",
        "impressions": "100",
        "clicks": "7",
    } | changes
    return "{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}\n"


def parquet_bytes(**columns: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


def spend_columns(**changes: pa.Array) -> dict[str, pa.Array]:
    return {
        "spend_id": pa.array(["s1"]),
        "channel_id": pa.array(["c1"]),
        "spend_date": pa.array([date(2026, 1, 31)]),
        "amount": pa.array([Decimal("12.10")], pa.decimal128(18, 2)),
        "impressions": pa.array([100]),
        "clicks": pa.array([7]),
    } | changes


def test_csv_row_lands_typed_with_its_ingest_columns(door: Door) -> None:
    door.drop("marketing_spend/jan.csv", HEADER + GOOD)
    candidate = door.land()
    (row,) = rows_of(candidate.files, "_line")
    assert row == {
        "spend_id": "s1",
        "channel_id": "c1",
        "spend_date": date(2026, 1, 31),
        "amount": Decimal("12.10"),
        "impressions": 100,
        "clicks": 7,
        "_ingested_at": RUN.at,
        "_source": "marketing_spend/jan.csv",
        "_batch_id": candidate.batches[0],
        "_line": 2,
    }
    assert pq.read_schema(candidate.files[0]).equals(declared("bronze.marketing_spend").schema)
    assert candidate.mode == "append"


def test_quarantined_row_tells_everything_about_itself(door: Door) -> None:
    door.drop("marketing_spend/jan.csv", HEADER + "s1,c1,tomorrow,1.234,3.0,\n" + GOOD)
    candidate = door.land()
    (row,) = rows_of(candidate.quarantine_files, "_line")
    assert row.pop("rules") == ["spend_date_not_a_date", "amount_too_precise", "impressions_not_an_integer"]
    assert json.loads(row.pop("payload")) == {
        "spend_id": "s1",
        "channel_id": "c1",
        "spend_date": "tomorrow",
        "amount": "1.234",
        "impressions": "3.0",
        "clicks": None,
    }
    assert len(row.pop("quarantine_id")) == 64
    assert row == {
        "table_name": "bronze.marketing_spend",
        "_source": "marketing_spend/jan.csv",
        "_batch_id": candidate.batches[0],
        "_line": 2,
        "run_id": "run-1",
        "quarantined_at": RUN.at,
    }
    schema = quarantine_of(declared("bronze.marketing_spend")).schema
    assert pq.read_schema(candidate.quarantine_files[0]).equals(schema)


@pytest.mark.parametrize(
    ("column", "text", "rule"),
    [
        ("amount", "NaN", "amount_not_a_decimal"),
        ("amount", "Infinity", "amount_not_a_decimal"),
        ("amount", "-inf", "amount_not_a_decimal"),
        ("amount", "1e2", "amount_not_a_decimal"),
        ("amount", "1 000", "amount_not_a_decimal"),
        ("amount", "٣", "amount_not_a_decimal"),
        ("amount", "0.001", "amount_too_precise"),
        ("amount", "12345678901234567.89", "amount_out_of_range"),
        ("clicks", "NaN", "clicks_not_an_integer"),
        ("clicks", "3.0", "clicks_not_an_integer"),
        ("clicks", " 3", "clicks_not_an_integer"),
        ("clicks", "9223372036854775808", "clicks_out_of_range"),
        ("spend_date", "2026-02-30", "spend_date_not_a_date"),
        ("spend_date", "31.01.2026", "spend_date_not_a_date"),
        ("spend_date", "2026-01-31T00:00:00Z", "spend_date_not_a_date"),
        ("spend_date", "0000-12-31", "spend_date_out_of_range"),
        ("spend_date", "10000-01-01", "spend_date_out_of_range"),
        ("channel_id", "a\0b", "channel_id_has_nul"),
    ],
)
def test_value_that_is_not_of_its_type_is_refused(door: Door, column: str, text: str, rule: str) -> None:
    door.drop("marketing_spend/a.csv", HEADER + replaced(column, text))
    door.drop("marketing_spend/a.jsonl", json_line(**{column: json.dumps(text)}))
    assert [rules for _, rules, _ in door.refused()] == [[rule], [rule]]


def replaced(column: str, text: str) -> str:
    values = dict(zip(HEADER.strip().split(","), GOOD.strip().split(","), strict=True)) | {column: text}
    return ",".join(values.values()) + "\n"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T10:00:00Z", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31 10:00:00+05:30", datetime(2026, 1, 31, 4, 30, tzinfo=UTC)),
        ("2026-01-31 10:00+00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31T10:00:00.123456000-0100", datetime(2026, 1, 31, 11, 0, 0, 123456, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_timestamps_with_a_zone_land_as_the_same_instant(door: Door, text: str, moment: datetime) -> None:
    door.drop("refunds/a.csv", REFUND_HEADER + f"r1,p1,{text},1.00,fraud\n")
    (row,) = door.landed("refunds")
    assert row["refunded_at"] == moment


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("2026-01-31T10:00:00", "refunded_at_has_no_zone"),
        ("2026-01-31 10:00", "refunded_at_has_no_zone"),
        ("2026-01-31", "refunded_at_not_a_timestamp"),
        ("2026-02-30T10:00:00Z", "refunded_at_not_a_timestamp"),
        ("2026-01-31T24:00:00Z", "refunded_at_not_a_timestamp"),
        ("2026-01-31T10:00:00 Europe/Berlin", "refunded_at_not_a_timestamp"),
        ("1769853600", "refunded_at_not_a_timestamp"),
        ("2026-01-31T10:00:00.1234567Z", "refunded_at_too_precise"),
        ("0001-01-01T00:00:00+01:00", "refunded_at_out_of_range"),
        ("0000-06-01T00:00:00Z", "refunded_at_out_of_range"),
        ("9999-12-31T23:59:59-01:00", "refunded_at_out_of_range"),
        ("10000-01-01T00:00:00Z", "refunded_at_out_of_range"),
    ],
)
def test_timestamps_without_zone_or_outside_the_calendar_are_refused(door: Door, text: str, rule: str) -> None:
    door.drop("refunds/a.csv", REFUND_HEADER + f"r1,p1,{text},1.00,fraud\n")
    assert [rules for _, rules, _ in door.refused("refunds")] == [[rule]]


def test_money_keeps_every_digit_from_text_json_and_parquet(door: Door) -> None:
    exact = ["12.10", "0.1", "-0.05", "1234567890123456.78", "9999999999999999.99", "7"]
    door.drop("marketing_spend/a.csv", HEADER + "".join(replaced("amount", text) for text in exact))
    door.drop("marketing_spend/b.jsonl", "".join(json_line(amount=text) for text in exact))
    amounts = pa.array([Decimal(text) for text in exact], pa.decimal128(30, 4))
    same = {name: pa.concat_arrays([column] * len(exact)) for name, column in spend_columns().items()}
    door.drop("marketing_spend/c.parquet", parquet_bytes(**(same | {"amount": amounts})))
    found = rows_of(door.land().files, "_source", "_line")
    assert [row["amount"] for row in found] == [Decimal(text) for text in exact] * 3


def test_quoted_commas_quotes_and_newlines_keep_text_and_line_numbers(door: Door) -> None:
    door.drop(
        "marketing_channels/a.csv",
        'kind,channel_id,name\r\npaid,c1,"Search, ""brand""\r\nand more"\r\n\r\nx,y\r\npaid,c2,plain\x0btext\u2028\r\n'
        'paid,"",c3\n',
    )
    candidate = door.land("marketing_channels")
    rows = rows_of(candidate.files, "_line")
    assert [(row["_line"], row["channel_id"], row["name"]) for row in rows] == [
        (2, "c1", 'Search, "brand"\r\nand more'),
        (6, "c2", "plain\x0btext\u2028"),
        (7, None, "c3"),
    ]
    (bad,) = rows_of(candidate.quarantine_files, "_line")
    assert (bad["_line"], bad["rules"], bad["payload"]) == (5, ["wrong_number_of_fields"], "x,y")


def test_a_stray_quote_costs_one_line_and_not_the_rows_behind_it(door: Door) -> None:
    door.drop("marketing_channels/a.csv", 'channel_id,name,kind\nc1,"open,paid\nc2,n,paid\n"x"y,n,paid\nc3,n,paid\n')
    candidate = door.land("marketing_channels")
    assert [(row["_line"], row["channel_id"]) for row in rows_of(candidate.files, "_line")] == [(3, "c2"), (5, "c3")]
    refused = [(row["_line"], row["rules"]) for row in rows_of(candidate.quarantine_files, "_line")]
    assert refused == [(2, ["not_csv"]), (4, ["not_csv"])]


@pytest.mark.parametrize("block_bytes", [16, 64, 4096])
def test_records_cut_by_a_block_are_put_together(door: Door, monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    monkeypatch.setattr("tasks.landing.text_lines.BLOCK_BYTES", block_bytes)
    names = [f"line one of {i}\nline two äöü {i}" for i in range(50)]
    lines = "".join(f'c{i},"{name}",paid\n' for i, name in enumerate(names))
    door.drop("marketing_channels/a.csv", "channel_id,name,kind\n" + lines + 'c50,"never closed,paid\nc51,n,paid')
    candidate = door.land("marketing_channels")
    rows = rows_of(candidate.files, "_line")
    assert [(row["_line"], row["name"]) for row in rows] == [*((2 + 2 * i, n) for i, n in enumerate(names)), (103, "n")]
    assert [(row["_line"]) for row in rows_of(candidate.quarantine_files, "_line")] == [102]


def test_a_quote_left_open_is_given_up_before_it_holds_more_than_a_record_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.landing.text_lines.BLOCK_BYTES", 256)
    rows = "".join(f"c{i},name {i},paid\n" for i in range(2000))
    content = io.BytesIO(('channel_id,name,kind\nc,"open,paid\n' + rows).encode())
    chunks = list(read_csv(content, declared("bronze.marketing_channels"), max_line_bytes=1024))
    assert sum(chunk.rows.num_rows for chunk in chunks) == 2000
    assert [line.line for chunk in chunks for line in chunk.refused] == [2]
    assert max(chunk.received for chunk in chunks) < 150


def test_header_may_name_the_columns_in_any_order(door: Door) -> None:
    door.drop("marketing_channels/a.csv", '\ufeff"kind",name,channel_id\npaid,Search,c1\n')
    (row,) = door.landed("marketing_channels")
    assert (row["channel_id"], row["name"], row["kind"]) == ("c1", "Search", "paid")


def test_header_only_lands_no_rows_and_is_remembered(door: Door) -> None:
    door.drop("marketing_spend/a.csv", HEADER)
    candidate = door.land()
    assert (candidate.files, candidate.quarantine_files, len(candidate.batches)) == ((), (), 1)
    assert candidate.balance.received == 0


@pytest.mark.parametrize(
    ("name", "content", "rules"),
    [
        ("a.csv", b"", ["empty_file"]),
        ("a.jsonl", b"", ["empty_file"]),
        ("a.parquet", b"", ["empty_file"]),
        ("a.csv", b"\xef\xbb\xbf", ["empty_file"]),
        ("a.csv.gz", gzip.compress(b"", mtime=0), ["empty_file"]),
        ("a.csv", "channel_id,name,kind\nc1,Größe,paid\n".encode("latin-1"), ["not_utf8"]),
        ("a.csv", "channel_id,name,kind\nc1,n,paid\n".encode("utf-16"), ["not_utf8"]),
        ("a.jsonl", '{"channel_id":"ü"}\n'.encode("latin-1"), ["not_utf8"]),
        (
            "a.csv",
            b"channel_id;name;kind\nc1;n;paid\n",
            [
                "wrong_delimiter:semicolon",
                "unknown_column:channel_id;name;kind",
                "missing_column:channel_id",
                "missing_column:name",
                "missing_column:kind",
            ],
        ),
        ("a.csv", b"channel_id,name\nc1,n\n", ["missing_column:kind"]),
        ("a.csv", b"channel_id,name,kind,color\nc1,n,paid,red\n", ["unknown_column:color"]),
        ("a.csv", b"channel_id,name,name,kind\nc1,n,n,paid\n", ["duplicate_column:name"]),
        ("a.csv", b'"channel_id\nname', ["not_csv"]),
        ("a.csv.gz", b"channel_id,name,kind\n", ["not_gzip"]),
        ("a.csv.gz", gzip.compress(b"channel_id,name,kind\nc1,n,paid\n" * 100, mtime=0)[:-12], ["not_gzip"]),
        ("a.parquet", b"PAR1 and nothing more", ["not_parquet"]),
        ("a.parquet", parquet_bytes(channel_id=pa.array(["c1"]))[:-20], ["not_parquet"]),
        ("a.xlsx", b"PK", ["file_format_unknown"]),
        ("a", b"channel_id,name,kind\n", ["file_format_unknown"]),
    ],
)
def test_file_that_is_no_table_goes_to_quarantine_whole(
    door: Door, name: str, content: bytes, rules: list[str]
) -> None:
    door.drop(f"marketing_channels/{name}", content)
    candidate = door.land("marketing_channels")
    (row,) = rows_of(candidate.quarantine_files, "_line")
    assert (row["_line"], row["rules"]) == (0, rules)
    assert row["payload"] == content.decode("utf-8", "replace").replace("\0", "\ufffd")
    assert (candidate.files, candidate.balance.received) == ((), 1)


def test_encoding_found_wrong_late_takes_back_the_rows_before_it(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.landing.text_lines.BLOCK_BYTES", 64)
    monkeypatch.setattr("tasks.landing.staged_rows.ROW_GROUP_ROWS", 2)
    door.drop("marketing_channels/a.csv", b"channel_id,name,kind\n" + b"c,n,paid\nbad\n" * 50 + b"c,\xff,paid\n")
    door.drop("marketing_channels/b.csv", b"channel_id,name,kind\nc1,n,paid\n")
    candidate = door.land("marketing_channels")
    assert [row["channel_id"] for row in rows_of(candidate.files, "_line")] == ["c1"]
    assert [row["rules"] for row in rows_of(candidate.quarantine_files, "_line")] == [["not_utf8"]]
    assert not list((door.root / "staging").rglob("*00000/*.parquet"))


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ("no json\n", ["not_json"]),
        ("[1]\n", ["not_json"]),
        ('"text"\n', ["not_json"]),
        (json_line().replace("}", ",}"), ["not_json"]),
        (json_line().strip() * 2 + "\n", ["not_json"]),
        ("[" * 100_000 + "\n", ["not_json"]),
        (json_line(amount="NaN"), ["amount_not_a_decimal"]),
        (json_line(channel_id="Infinity"), ["channel_id_not_text"]),
        (json_line(channel_id="true"), ["channel_id_not_text"]),
        (json_line(channel_id='{"a": 1}'), ["channel_id_not_text"]),
        (json_line(channel_id='"\\ud800"'), ["channel_id_not_text"]),
        (json_line(clicks="[1]", amount="1.001"), ["clicks_not_an_integer", "amount_too_precise"]),
        (json_line(color='"red"'), ["unknown_column:color"]),
        (json_line().replace(', "clicks": 7', ""), ["clicks_absent"]),
        (json_line().replace("}", ', "clicks": 8}'), ["duplicate_column:clicks"]),
        ("{}\n", [f"{name}_absent" for name in HEADER.strip().split(",")]),
    ],
)
def test_malformed_json_line_keeps_its_text_and_names_its_rules(door: Door, line: str, rules: list[str]) -> None:
    door.drop("marketing_spend/a.jsonl", json_line() + "\n" + line + json_line())
    candidate = door.land()
    assert [row["_line"] for row in rows_of(candidate.files, "_line")] == [1, 4]
    (row,) = rows_of(candidate.quarantine_files, "_line")
    assert (row["_line"], row["rules"], row["payload"]) == (3, rules, line.rstrip("\n"))


def test_json_null_strings_and_reordered_keys_are_fine(door: Door) -> None:
    line = json.dumps({"clicks": "7", "impressions": None, "amount": "12.10", "spend_date": None} | {"spend_id": ""})
    line = line.replace("}", ', "channel_id": 5}')
    door.drop("marketing_spend/a.ndjson", f"  {line} \r\n")
    (row,) = door.landed()
    assert (row["clicks"], row["impressions"], row["amount"], row["spend_id"]) == (7, None, Decimal("12.10"), "")
    assert row["channel_id"] == "5"


def test_field_of_a_megabyte_lands_and_a_longer_than_allowed_is_refused(door: Door) -> None:
    megabyte = "ü" * 524_288
    door.drop("marketing_channels/a.csv", f"channel_id,name,kind\nc1,{megabyte},paid\nc2,{megabyte}x,paid\n")
    door.settings = LandSettings(max_field_bytes=1_048_576)
    candidate = door.land("marketing_channels")
    assert [row["name"] for row in rows_of(candidate.files, "_line")] == [megabyte]
    (bad,) = rows_of(candidate.quarantine_files, "_line")
    assert (bad["rules"], len(json.loads(bad["payload"])["name"])) == (["name_too_long"], 524_289)


def test_line_longer_than_all_its_fields_may_be_refuses_the_file(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.landing.text_lines.BLOCK_BYTES", 1024)
    door.settings = LandSettings(max_field_bytes=1024)
    door.drop("marketing_channels/a.jsonl", '{"channel_id": "' + "x" * 10_000)
    ((line, rules, payload),) = door.refused("marketing_channels")
    assert (line, rules, len(payload)) == (0, ["line_too_long"], 4096)


def test_gzip_of_a_text_file_lands_like_the_file(door: Door) -> None:
    door.drop("marketing_spend/a.CSV.GZ", gzip.compress((HEADER + GOOD).encode()))
    assert [row["amount"] for row in door.landed()] == [Decimal("12.10")]


def test_sources_are_never_changed(door: Door) -> None:
    path = door.drop("marketing_spend/a.csv", HEADER + "bad\n" + GOOD)
    before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(path.parent.iterdir()))
    path.chmod(0o444)
    door.land()
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(path.parent.iterdir())) == before


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_file_that_changes_while_it_is_read_stops_the_run_with_nothing_staged(door: Door, name: str) -> None:
    contents = {"a.csv": (HEADER + GOOD).encode(), "a.jsonl": json_line().encode()}
    content = contents.get(name) or parquet_bytes(**spend_columns())
    path = door.drop(f"marketing_spend/{name}", content)
    bronze = declared("bronze.marketing_spend")
    files = pending_files(door.root / "inbox", bronze, lambda _: False, limit=1)
    path.write_bytes(content.replace(b"s1", b"s2"))
    with pytest.raises(BadInputError, match="changed while it was being read"):
        land(door.engine, bronze, files, door.root / "staging", RUN, door.settings)
    assert not list((door.root / "staging").rglob("*.parquet"))


def test_file_replaced_behind_the_reader_stops_the_run(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    path = door.drop("marketing_spend/a.csv", HEADER + GOOD)

    def replacing(*arguments: Any) -> Iterator[Any]:
        yield from read_csv(*arguments)
        path.write_text(HEADER)

    monkeypatch.setattr(landing_module, "read_csv", replacing)
    with pytest.raises(BadInputError, match=r"changed while it was being read.*renaming"):
        door.land()
    assert not list((door.root / "staging").rglob("*.parquet"))


def test_file_that_disappears_is_named(door: Door) -> None:
    path = door.drop("marketing_spend/a.csv", HEADER + GOOD)
    bronze = declared("bronze.marketing_spend")
    files = pending_files(door.root / "inbox", bronze, lambda _: False, limit=1)
    path.unlink()
    with pytest.raises(BadInputError, match=r"marketing_spend/a.csv: disappeared"):
        land(door.engine, bronze, files, door.root / "staging", RUN, door.settings)


@pytest.mark.parametrize("rows", [1, 200])
def test_staging_that_cannot_be_written_is_a_storage_error(
    door: Door, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.landing.staged_rows.ROW_GROUP_ROWS", 100)
    door.drop("marketing_spend/a.csv", HEADER + GOOD * rows)
    (door.root / "staging").write_text("a file where a directory should be")
    with pytest.raises(StorageError, match="cannot write"):
        door.land()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_full_disk_is_a_storage_error_and_leaves_nothing_staged(
    door: Door, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(landing_module, "DIRECT_FROM_ROWS", 1)
    ids = [os.urandom(40).hex() for _ in range(5000)]
    if suffix == "csv":
        door.drop("marketing_spend/a.csv", HEADER + "".join(replaced("spend_id", i) for i in ids))
    else:
        same = {name: pa.concat_arrays([column] * len(ids)) for name, column in spend_columns().items()}
        door.drop("marketing_spend/a.parquet", parquet_bytes(**(same | {"spend_id": pa.array(ids)})))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, limits[1]))
    try:
        with pytest.raises(StorageError):
            door.land()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((door.root / "staging").rglob("*.parquet"))


def test_no_files_make_an_empty_candidate(door: Door) -> None:
    candidate = door.land()
    assert (candidate.files, candidate.batches, candidate.balance.received) == ((), (), 0)
