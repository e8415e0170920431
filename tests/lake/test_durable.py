"""A name appears with all of its bytes or not at all, once, and nothing half-written stays behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lake import durable
from lake.durable import NameNotKeptError, create_file, make_directory, sync_directory, sync_file, write_file

PROJECT = Path(__file__).resolve().parents[2]


def names(directory: Path) -> list[str]:
    return sorted(f.name for f in directory.iterdir())


def test_a_free_name_is_taken_once(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    assert create_file(target, b"first")
    assert not create_file(target, b"second")
    assert target.read_bytes() == b"first"
    assert names(tmp_path) == ["a.json"]


def test_of_many_processes_that_want_a_name_one_gets_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from lake.durable import create_file; "
        "print(sum(create_file(Path(sys.argv[1]) / str(n), sys.argv[2].encode() * 1000) for n in range(100)))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    contenders = [
        subprocess.Popen([*command, letter], cwd=PROJECT, stdout=subprocess.PIPE, text=True) for letter in "abcd"
    ]
    won = [int(contender.communicate(timeout=60)[0]) for contender in contenders]
    assert sum(won) == 100
    contents = [(tmp_path / str(n)).read_text() for n in range(100)]
    assert sorted(won) == sorted(contents.count(letter * 1000) for letter in "abcd")
    assert len(names(tmp_path)) == 100


def test_bytes_are_kept_before_the_name_and_the_name_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def noted(call: Callable[..., Any], describe: Callable[..., str]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            seen.append(describe(*arguments))
            return call(*arguments, **options)

        return wrapped

    def kind(descriptor: int) -> str:
        return "sync directory" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "sync file"

    monkeypatch.setattr(os, "fsync", noted(os.fsync, kind))
    monkeypatch.setattr(os, "link", noted(os.link, lambda *_: "name"))
    assert create_file(tmp_path / "a", b"x" * 100_000)
    assert seen == ["sync file", "name", "sync directory"]


def test_a_name_the_disk_did_not_keep_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(durable, "sync_directory", refuse)
    with pytest.raises(NameNotKeptError):
        create_file(tmp_path / "a", b"x")
    assert names(tmp_path) == ["a"]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int, __: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        create_file(tmp_path / "a", b"x")
    assert names(tmp_path) == []


def test_short_writes_go_on_where_they_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, rest: write(descriptor, rest[:7]))
    content = bytes(range(256)) * 10
    write_file(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == content


def test_a_file_that_exists_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"


def test_directories_are_made_with_their_parents_and_making_them_again_is_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        make_directory(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    sync_directory(tmp_path / "a")
    write_file(tmp_path / "f", b"")
    sync_file(tmp_path / "f")
    with pytest.raises(NotADirectoryError):
        sync_directory(tmp_path / "f")
