"""What a person is told when the notebook cannot be rendered; none of it needs R."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.errors import BadInputError, LakehouseError, MissingToolError
from lake.tables import GOLD
from tasks import notebook
from tasks.notebook import NEEDED_COLUMNS, NOTEBOOKS, debian_packages, render_notebook, require_r

ROWS = {
    "daily_kpis": "2026-01-01,1,1,1.00,0.5",
    "experiment_performance": "e,10,10,5,5,0.5,0.5",
    "customer_health": "DE,ch,true,10,4.0",
}


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """Exports of one row each."""
    directory = tmp_path / "exports"
    directory.mkdir()
    for mart, columns in NEEDED_COLUMNS.items():
        (directory / f"{mart}.csv").write_text(f"{','.join(columns)}\n{ROWS[mart]}\n")
    return directory


def program(folder: Path, name: str, script: str) -> None:
    """A program of our own on the path."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bin_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path with nothing on it yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("RSTUDIO_PANDOC", raising=False)
    return folder


def render(exports: Path, tmp_path: Path) -> LakehouseError:
    with pytest.raises(LakehouseError) as caught:
        render_notebook(exports, tmp_path / "out", tmp_path / "notebook.log")
    assert not list((tmp_path / "out").glob("*")), "a failed rendering leaves no file"
    return caught.value


def test_needed_columns_are_columns_of_the_marts() -> None:
    declared = {table.name: {column.name for column in table.columns} for table in GOLD}
    for mart, columns in NEEDED_COLUMNS.items():
        assert set(columns) <= declared[mart]


def test_analysis_reads_the_columns_that_are_asked_for() -> None:
    text = (NOTEBOOKS / "R" / "analysis.R").read_text()
    for columns in NEEDED_COLUMNS.values():
        for column in columns:
            assert f'{column} = "' in text


@pytest.mark.parametrize("mart", list(NEEDED_COLUMNS))
def test_an_absent_export_is_named(exports: Path, tmp_path: Path, mart: str) -> None:
    (exports / f"{mart}.csv").unlink()
    error = render(exports, tmp_path)
    assert isinstance(error, BadInputError)
    assert error.where == str(exports / f"{mart}.csv")
    assert "./lakehouse export" in str(error.mend)


@pytest.mark.parametrize("content", ["", "kpi_date,active_users,new_users,net_revenue,signup_rate\n"])
def test_an_empty_export_is_refused(exports: Path, tmp_path: Path, content: str) -> None:
    (exports / "daily_kpis.csv").write_text(content)
    error = render(exports, tmp_path)
    assert isinstance(error, BadInputError)
    assert "no rows" in error.what


def test_an_export_of_another_version_names_the_absent_column(exports: Path, tmp_path: Path) -> None:
    (exports / "customer_health.csv").write_text("country,channel_id,is_active,tenure_days\nDE,ch,true,10\n")
    error = render(exports, tmp_path)
    assert isinstance(error, BadInputError)
    assert "no column mean_satisfaction" in error.what
    assert "another version" in error.what


def test_an_export_that_is_no_text_is_refused(exports: Path, tmp_path: Path) -> None:
    (exports / "daily_kpis.csv").write_bytes(b"\xff\xfe\x00PAR1")
    assert isinstance(render(exports, tmp_path), BadInputError)


def test_without_r_the_line_to_type_is_told(exports: Path, tmp_path: Path, bin_only: Path) -> None:
    error = render(exports, tmp_path)
    assert isinstance(error, MissingToolError)
    assert error.mend == f"sudo apt-get install {' '.join(debian_packages())}"


def test_without_pandoc_the_line_to_type_is_told(exports: Path, tmp_path: Path, bin_only: Path) -> None:
    program(bin_only, "Rscript", "exit 0")
    error = render(exports, tmp_path)
    assert isinstance(error, MissingToolError)
    assert error.mend == "sudo apt-get install pandoc"


def test_an_absent_r_package_is_named(exports: Path, tmp_path: Path, bin_only: Path) -> None:
    program(bin_only, "pandoc", "exit 0")
    program(bin_only, "Rscript", "echo ggplot2")
    error = render(exports, tmp_path)
    assert isinstance(error, MissingToolError)
    assert error.what == "R lacks ggplot2"
    assert error.mend == "sudo apt-get install r-cran-ggplot2"


def test_an_r_that_does_not_start_says_why(bin_only: Path) -> None:
    program(bin_only, "pandoc", "exit 0")
    program(bin_only, "Rscript", "echo 'libR.so: cannot open' >&2; exit 127")
    with pytest.raises(MissingToolError, match=r"libR\.so: cannot open"):
        require_r()


def test_a_failed_rendering_tells_the_first_error_and_the_log(exports: Path, tmp_path: Path, bin_only: Path) -> None:
    program(bin_only, "pandoc", "exit 0")
    program(bin_only, "Rscript", '[ "$2" = -e ] && exit; echo noise; echo "ERROR: object x not found"; exit 1')
    error = render(exports, tmp_path)
    assert error.exit_code == 1
    assert error.what == "R failed: object x not found"
    assert error.where == str(tmp_path / "notebook.log")
    assert "noise" in (tmp_path / "notebook.log").read_text()


def test_a_rendering_that_does_not_end_is_ended(
    exports: Path, tmp_path: Path, bin_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "RENDER_LIMIT_S", 0.2)
    program(bin_only, "pandoc", "exit 0")
    program(bin_only, "Rscript", '[ "$2" = -e ] && exit; while :; do :; done')
    assert "longer than" in render(exports, tmp_path).what


def test_an_earlier_page_stays_when_rendering_fails(exports: Path, tmp_path: Path, bin_only: Path) -> None:
    program(bin_only, "pandoc", "exit 0")
    program(bin_only, "Rscript", '[ "$2" = -e ] && exit; exit 1')
    out = tmp_path / "out"
    out.mkdir()
    (out / "r_kpi_analysis.html").write_text("the last good one")
    with pytest.raises(LakehouseError):
        render_notebook(exports, out, tmp_path / "notebook.log")
    assert [path.name for path in out.iterdir()] == ["r_kpi_analysis.html"]
    assert (out / "r_kpi_analysis.html").read_text() == "the last good one"
