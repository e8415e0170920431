"""The inbox: what waits there, under which identity, and what is never read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from lake.errors import BadInputError
from lake.tables import table
from tasks.landing import InboxFile, pending_files, stray_folders

CHANNELS = table("bronze.marketing_channels")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox" / CHANNELS.name
    folder.mkdir(parents=True)
    return folder


def pending(folder: Path, *landed: str, limit: int = 100) -> list[InboxFile]:
    return pending_files(folder.parent, CHANNELS, lambda batch: batch in landed, limit=limit)


def test_files_come_in_name_order_with_their_content_hash(folder: Path) -> None:
    for name in ("b.jsonl", "a.csv", "c.parquet", "d.ndjson"):
        (folder / name).write_text(name)
    files = pending(folder)
    assert [(f.name, f.file_format) for f in files] == [
        ("marketing_channels/a.csv", "csv"),
        ("marketing_channels/b.jsonl", "jsonl"),
        ("marketing_channels/c.parquet", "parquet"),
        ("marketing_channels/d.ndjson", "jsonl"),
    ]
    assert files[0].batch_id == hashlib.sha256(b"a.csv").hexdigest()
    assert files[0].size_bytes == 5


def test_same_content_under_another_name_is_pending_once(folder: Path) -> None:
    (folder / "a.csv").write_text("same")
    (folder / "b.csv").write_text("same")
    assert [f.name for f in pending(folder)] == ["marketing_channels/a.csv"]


def test_landed_content_is_left_out_under_any_name(folder: Path) -> None:
    (folder / "a.csv").write_text("landed")
    (folder / "b.csv").write_text("new")
    landed = hashlib.sha256(b"landed").hexdigest()
    assert [f.name for f in pending(folder, landed)] == ["marketing_channels/b.csv"]


def test_limit_counts_only_files_that_are_pending(folder: Path) -> None:
    for name in "abcd":
        (folder / f"{name}.csv").write_text(name)
    landed = hashlib.sha256(b"a").hexdigest()
    assert [f.name[-5] for f in pending(folder, landed, limit=2)] == ["b", "c"]


def test_unfinished_files_and_subfolders_are_passed_over(folder: Path) -> None:
    (folder / ".a.csv.swp").write_text("x")
    (folder / "_a.csv").write_text("y")
    (folder / "sub.csv").mkdir()
    assert pending(folder) == []


def test_missing_folder_holds_no_files(tmp_path: Path) -> None:
    assert pending_files(tmp_path / "inbox", CHANNELS, lambda _: False, limit=1) == []
    assert stray_folders(tmp_path / "inbox") == []


def test_file_in_place_of_a_folder_is_named(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("x")
    with pytest.raises(BadInputError, match=r"marketing_channels: expected a folder"):
        pending(folder)


def test_file_refused_for_its_name_is_new_again_once_renamed(folder: Path) -> None:
    (folder / "a.txt").write_text("channel_id,name,kind\n")
    (refused,) = pending(folder)
    assert refused.refusal == "file_format_unknown"
    assert pending(folder, refused.batch_id) == []
    (folder / "a.txt").rename(folder / "a.csv")
    (renamed,) = pending(folder, refused.batch_id)
    assert renamed.refusal is None


def test_link_out_of_the_inbox_is_refused_unread(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("channel_id,name,kind\nc1,secret,paid\n")
    (folder / "a.csv").symlink_to(secret)
    (folder / "b.csv").symlink_to(folder / "nowhere.csv")
    (folder / "c.csv").write_text("real")
    (folder / "d.csv").symlink_to("c.csv")
    refusals = {f.name[-5]: f.refusal for f in pending(folder)}
    assert refusals == {"a": "link_leaves_the_inbox", "b": "link_is_broken", "c": None}


def test_pipe_is_refused_and_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "a.csv")
    assert [f.refusal for f in pending(folder)] == ["not_a_regular_file"]


def test_name_that_is_not_text_can_still_be_stored(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/a\xff.csv")).write_text("x")
    (file,) = pending(folder)
    assert file.name.encode() == rb"marketing_channels/a\xff.csv"


def test_unreadable_file_is_named_with_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.csv").write_text("x")
    (folder / "a.csv").chmod(0)
    if os.geteuid() == 0:
        # Nothing is unreadable to root; the system's refusal is played instead.
        monkeypatch.setattr(os, "open", _refuse)
    with pytest.raises(BadInputError, match=r"marketing_channels/a.csv: cannot be read: Permission denied"):
        pending(folder)


def _refuse(*_: object) -> int:
    raise PermissionError(13, "Permission denied")


def test_folders_named_like_no_table_are_reported(folder: Path) -> None:
    for name in ("usres", "orders", ".hidden"):
        (folder.parent / name).mkdir()
    (folder.parent / "notes.txt").write_text("x")
    assert stray_folders(folder.parent) == ["orders", "usres"]
