"""The rendered notebook against the truth that the generator drew from, and the page itself."""

from __future__ import annotations

import base64
import csv
import json
import math
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tasks.generation.seasons import Calendar
from tests.e2e.conftest import SMALL, Cli
from tests.notebooks.conftest import make_exports

pytestmark = pytest.mark.e2e
SECTIONS = ("In short", "Trends of the key figures", "Experiments", "Support experience and leaving")
FIGURES = 9
WINDOW_DAYS, YEAR_DAYS = 28, 364


@pytest.fixture(scope="session")
def rendered(company: Cli, rscript: str) -> Path:
    """The directory with the company's page and estimates."""
    company("notebook")
    return company.folder / "data" / "notebooks"


@pytest.fixture(scope="session")
def page(rendered: Path) -> str:
    return (rendered / "r_kpi_analysis.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def estimates(rendered: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((rendered / "r_kpi_analysis.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def truth(company: Cli) -> dict[str, Any]:
    text = (company.folder / "data" / "inbox" / "_ground_truth.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def holds(interval: dict[str, float], value: float) -> bool:
    return interval["low"] <= value <= interval["high"]


def text_of(page: str) -> str:
    return re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(style|script).*?</\1>", " ", page))


def test_every_section_and_figure_is_on_the_page(page: str) -> None:
    for section in SECTIONS:
        assert re.search(f"<h2[^>]*>{section}</h2>", page), section
    images = re.findall(r'<img[^>]*src="data:image/png;base64,([^"]+)"', page)
    assert len(images) == FIGURES
    assert all(base64.b64decode(image).startswith(b"\x89PNG") for image in images)
    assert len(re.findall(r'<img[^>]*alt="[^"]{20,}"', page)) == FIGURES


def test_page_says_no_error_and_leaves_no_number_out(page: str) -> None:
    words = text_of(page)
    assert not re.search(r"\bError\b|\bWarning\b|##|\bNaN\b|\bNA\b|\bInf\b|\bNULL\b", words)


def test_page_needs_nothing_from_elsewhere(page: str) -> None:
    # A page that is told not to load anything but itself would look the same.
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*\"", page)
    assert not re.findall(r"url\((?!data:|['\"]data:)", page)


def test_page_and_estimates_say_the_same(page: str, estimates: dict[str, Any]) -> None:
    words = re.sub(r"\s+", " ", text_of(page))
    for experiment in estimates["experiments"]:
        said = f"{experiment['experiment_id']}: {experiment['verdict']}"
        assert re.sub(r"\s+", " ", said) in words.replace("&lt;", "<")
    assert f"{estimates['churn']['odds_ratio_per_point_less']['estimate']:.2f} times the odds" in words


def test_the_effect_is_found_and_its_size_held(estimates: dict[str, Any], truth: dict[str, Any]) -> None:
    found = {e["experiment_id"]: e for e in estimates["experiments"]}
    assert any(t["has_effect"] for t in truth["experiments"])
    for t in truth["experiments"]:
        e = found[t["experiment_id"]]
        assert e["lift_low"] <= t["absolute_lift"] <= e["lift_high"]
        assert e["outcome"] == ("better" if t["has_effect"] else "no effect shown")


def test_new_users_grew_as_much_as_was_drawn(estimates: dict[str, Any], truth: dict[str, Any]) -> None:
    drawn = truth["settings"]
    arrivals = Calendar(date.fromisoformat(drawn["start"]), drawn["days"]).arrival_shares
    end = drawn["days"]
    now = arrivals[end - WINDOW_DAYS : end].sum()
    growth = {
        "change_to_previous": now / arrivals[end - 2 * WINDOW_DAYS : end - WINDOW_DAYS].sum() - 1,
        "change_to_year_before": now / arrivals[end - YEAR_DAYS - WINDOW_DAYS : end - YEAR_DAYS].sum() - 1,
    }
    new_users = next(t for t in estimates["trends"] if t["kpi"] == "new_users")
    for change, true in growth.items():
        assert holds(new_users[change], float(true)), (change, true, new_users[change])


def test_bad_support_goes_with_leaving_about_as_much_as_was_drawn(
    estimates: dict[str, Any], truth: dict[str, Any]
) -> None:
    churn = estimates["churn"]
    assert truth["churn"]["sensitivity"] > 0
    assert churn["odds_ratio_per_point_less"]["low"] > 1
    assert churn["marginal_effect_per_point_less"]["low"] > 0
    # Satisfaction moves and some come back, which one look at each customer cannot tell: close, not equal.
    drawn = math.exp(truth["churn"]["sensitivity"])
    assert churn["hazard_ratio_per_point_less"]["estimate"] == pytest.approx(drawn, rel=0.2)


def test_level_of_the_estimates_is_the_mean_of_the_export(company: Cli, estimates: dict[str, Any]) -> None:
    with (company.folder / "data" / "exports" / "daily_kpis.csv").open(encoding="utf-8") as file:
        last = [float(row["net_revenue"]) for row in csv.DictReader(file)][-WINDOW_DAYS:]
    revenue = next(t for t in estimates["trends"] if t["kpi"] == "net_revenue")
    assert revenue["level"]["estimate"] == pytest.approx(sum(last) / WINDOW_DAYS)


def test_rendering_again_gives_the_same_files(company: Cli, rendered: Path, tmp_path: Path) -> None:
    company("notebook", "--output", str(tmp_path))
    for name in ("r_kpi_analysis.html", "r_kpi_analysis.json"):
        assert (tmp_path / name).read_bytes() == (rendered / name).read_bytes()


def test_too_small_a_company_is_told_so_and_not_judged(rscript: str, tmp_path: Path) -> None:
    cli = Cli(tmp_path, SMALL | {"LAKEHOUSE_GENERATE__DAYS": "70"})
    make_exports(cli)
    cli("notebook")
    out = tmp_path / "data" / "notebooks"
    found = json.loads((out / "r_kpi_analysis.json").read_text(encoding="utf-8"))
    assert found["churn"]["outcome"] == "too few"
    assert all(t.get("change_to_year_before") is None for t in found["trends"])
    words = text_of((out / "r_kpi_analysis.html").read_text(encoding="utf-8"))
    assert "Too few customers to say" in words
    assert not re.search(r"\bNaN\b|\bInf\b|\bWarning\b", words)


def test_a_value_that_is_no_number_is_told_with_its_line(company: Cli, rscript: str, tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    for path in (company.folder / "data" / "exports").glob("*.csv"):
        (exports / path.name).write_bytes(path.read_bytes())
    lines = (exports / "daily_kpis.csv").read_text().splitlines()
    cells = lines[16].split(",")
    cells[lines[0].split(",").index("net_revenue")] = "12;50"
    lines[16] = ",".join(cells)
    (exports / "daily_kpis.csv").write_text("\n".join(lines) + "\n")
    told = company("notebook", "--exports", str(exports), "--output", str(tmp_path / "out"), code=4).stderr
    assert 'daily_kpis.csv, line 17: net_revenue is "12;50", which is no number' in told
    assert not (tmp_path / "out").exists()
