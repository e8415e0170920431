"""The page on translation says what the allow-lists say."""

from __future__ import annotations

from sql.translation_page import PAGE, render


def test_the_page_is_written_from_the_lists() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m sql.translation_page"


def test_every_transform_and_helper_says_what_it_does() -> None:
    lines = [line for line in render().splitlines() if line.startswith(("- `", *map(str, range(10))))]
    assert [line for line in lines if line.rstrip().endswith(":")] == []
