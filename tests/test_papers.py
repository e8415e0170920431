"""What the pages say exists: linked files, named tests, commands to type."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import BENCHMARKS
from cli.main import app

PROJECT = Path(__file__).resolve().parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
_PATH = re.compile(r"`((?:api|bench|cli|flows|infra|lake|notebooks|soda|spark|sql|tasks|tests)/[\w./-]+)`")
_COMMAND = re.compile(r"\./lakehouse ([a-z]+)(?: ([a-z]+))?")


def ids(page: Path) -> str:
    return str(page.relative_to(PROJECT))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_and_every_named_file_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [link for link in _LINK.findall(text) if not (page.parent / link).exists()]
    missing += [path for path in _PATH.findall(text) if "/." not in path and not (PROJECT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_command_to_type_is_one(page: Path) -> None:
    typed = _COMMAND.findall(page.read_text(encoding="utf-8"))
    assert [words for words in typed if not is_command(*words)] == []


def is_command(name: str, word: str) -> bool:
    if name not in app:
        return False
    if name == "bench":
        return word in BENCHMARKS
    # What follows a command that has none below it is its argument.
    below = [*app[name]]
    return not word or not below or word in below or app[name].default_command is not None
