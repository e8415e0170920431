"""Everything under infra/ is judged by somebody, and the command says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.validate import INFRA, UNCLAIMED, VALIDATORS, main, problems, templates


@pytest.mark.parametrize("path", list(templates()), ids=lambda path: str(path.relative_to(INFRA)))
def test_the_template_is_valid(path: Path) -> None:
    assert problems(path) == []


def test_every_validator_judges_a_template_that_exists() -> None:
    assert [v.glob for v in VALIDATORS if not any(INFRA.glob(v.glob))] == []


def test_a_file_that_nobody_claims_is_an_error(tmp_path: Path) -> None:
    stray = tmp_path / "terraform" / "main.tf"
    stray.parent.mkdir()
    stray.write_text('resource "aws_s3_bucket" "lake" {}\n', encoding="utf-8")
    assert list(templates(tmp_path)) == [stray]
    assert problems(stray, tmp_path) == [UNCLAIMED]


def test_a_glob_means_files_of_its_own_folder_only(tmp_path: Path) -> None:
    deeper = tmp_path / "kubernetes" / "overlays" / "api.yaml"
    deeper.parent.mkdir(parents=True)
    deeper.write_text("kind: Service\n", encoding="utf-8")
    assert problems(deeper, tmp_path) == [UNCLAIMED]


def test_the_command_names_each_file_and_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    path = INFRA / "docker" / "example.env"
    assert main([str(path)]) == 0
    assert capsys.readouterr().out == f"valid  {path}\n"


def test_the_command_names_what_is_wrong_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(INFRA / "docker", tmp_path / "docker")
    path = tmp_path / "docker" / "example.env"
    path.write_text(path.read_text(encoding="utf-8").replace("POSTGRES_PASSWORD=", "POSTGRES_PASSWORD=postgres"))
    assert main([str(path)], tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"broken {path}",
        "       POSTGRES_PASSWORD has a value; whoever copies this file would share it",
    ]
