"""The R notebook: one page of HTML and its main estimates as JSON, from the exports."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lake.errors import BadInputError, LakehouseError, MissingToolError, StorageError
from lake.settings import PROJECT_ROOT
from lake.tables.gold import CUSTOMER_HEALTH, DAILY_KPIS, EXPERIMENT_PERFORMANCE
from tasks.export import whole_file

NOTEBOOKS = PROJECT_ROOT / "notebooks"
NAME = "r_kpi_analysis"
LOG_FILE = Path("data/logs/notebook.log")
# Takes seconds; five minutes are those of a large company on a busy machine.
RENDER_LIMIT_S = 300
# What the notebook reads of each mart (notebooks/R/analysis.R); an export may hold more.
NEEDED_COLUMNS = {
    DAILY_KPIS.name: ("kpi_date", "active_users", "new_users", "net_revenue", "signup_rate"),
    EXPERIMENT_PERFORMANCE.name: (
        "experiment_id", "control_users", "treatment_users", "control_conversions", "treatment_conversions",
        "p_value", "sample_ratio_p_value",
    ),
    CUSTOMER_HEALTH.name: ("country", "channel_id", "is_active", "tenure_days", "mean_satisfaction"),
}  # fmt: skip

_PACKAGE_PREFIX = "r-cran-"
# notebooks/render.R's.
_BAD_INPUT_STATUS = 4
_ERROR_MARK = "ERROR: "


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was written: the page for people, the estimates for programs."""

    html: Path
    json: Path


def render_notebook(exports: Path, output: Path, log: Path = LOG_FILE) -> Rendered:
    """Render the notebook; each file appears whole, and none when R fails.

    Args:
        exports: Directory of the CSV exports.
        output: Directory to write to; made when absent.
        log: File for everything R says.

    Raises:
        BadInputError: An export is absent, empty, lacks a column or holds a value that is none of its column.
        MissingToolError: R, pandoc or an R package is not installed.
        StorageError: `output` or `log` cannot be written.
        LakehouseError: R failed, or took longer than `RENDER_LIMIT_S` seconds.
    """
    for mart, columns in NEEDED_COLUMNS.items():
        require_export(exports / f"{mart}.csv", columns)
    rscript = require_r()
    done = Rendered(output / f"{NAME}.html", output / f"{NAME}.json")
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        html, json = Path(folder, done.html.name), Path(folder, done.json.name)
        _run_r([rscript, "--no-init-file", "render.R", str(exports.resolve()), str(html), str(json)], exports, log)
        with whole_file(done.json) as unfinished_json, whole_file(done.html) as unfinished_html:
            shutil.copyfile(json, unfinished_json)
            shutil.copyfile(html, unfinished_html)
    return done


def require_export(path: Path, columns: Iterable[str]) -> None:
    """See that an export is there with a row and these columns.

    Raises:
        BadInputError: It is not; says which column is absent.
    """
    again = "./lakehouse export   (or name another directory with --exports)"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header, first = next(rows, []), next(rows, None)
    except FileNotFoundError:
        raise BadInputError("this export is not there", where=str(path), mend="./lakehouse run, or " + again) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"cannot read this export: {error}", where=str(path), mend=again) from None
    absent = [column for column in columns if column not in header]
    if header and absent:
        raise BadInputError(
            f"no column {', '.join(absent)}: another version wrote this export", where=str(path), mend=again
        )
    if first is None:
        raise BadInputError("this export holds no rows", where=str(path), mend=f"fill the lake, then {again}")


def debian_packages() -> tuple[str, ...]:
    """Debian's names of everything the notebook needs, the one list of it."""
    return tuple((NOTEBOOKS / "packages.txt").read_text(encoding="utf-8").split())


def require_r() -> str:
    """The Rscript that renders, with pandoc and every R package seen to be there.

    Raises:
        MissingToolError: Something is not installed; names it and the line to type.
    """
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise MissingToolError("R is not installed, and the notebook is written in it", mend=_apt(debian_packages()))
    # RStudio brings a pandoc of its own and says where.
    places = (os.environ.get("RSTUDIO_PANDOC"), os.environ.get("PATH"))
    if shutil.which("pandoc", path=os.pathsep.join(place for place in places if place)) is None:
        raise MissingToolError("pandoc is not installed, and R makes the page with it", mend=_apt(["pandoc"]))
    if absent := absent_packages(rscript):
        raise MissingToolError(
            f"R lacks {', '.join(name.removeprefix(_PACKAGE_PREFIX) for name in absent)}", mend=_apt(absent)
        )
    return rscript


def absent_packages(rscript: str) -> list[str]:
    """Debian's names of R packages that `rscript` cannot load.

    Raises:
        MissingToolError: R itself does not start.
    """
    wanted = [name for name in debian_packages() if name.startswith(_PACKAGE_PREFIX)]
    asked = 'a <- commandArgs(TRUE); cat(a[!nzchar(sapply(a, function(p) system.file(package = p)))], sep = "\\n")'
    names = [name.removeprefix(_PACKAGE_PREFIX) for name in wanted]
    done = subprocess.run(
        [rscript, "--no-init-file", "-e", asked, *names],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines() or ["it says nothing"]
        raise MissingToolError(f"R does not start: {reason[0]}", where=rscript, mend=_apt(["r-base-core"]))
    return [_PACKAGE_PREFIX + name for name in done.stdout.split()]


def _apt(packages: Iterable[str]) -> str:
    return f"sudo apt-get install {' '.join(packages)}"


def _run_r(command: list[str], exports: Path, log: Path) -> None:
    """Run R in the notebook's folder with its words in `log`."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("w", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write: {error.strerror}", where=str(log), mend="mend the directory") from error
    with output:
        try:
            code = subprocess.run(
                command, cwd=NOTEBOOKS, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                timeout=RENDER_LIMIT_S, check=False, env=_environment(),
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            raise LakehouseError(
                f"the notebook took longer than {RENDER_LIMIT_S} seconds", where=str(log),
                mend="see how far it came in this log",
            ) from None  # fmt: skip
    if code == _BAD_INPUT_STATUS:
        raise BadInputError(_reason(log), where=str(exports), mend="mend the file, or ./lakehouse export")
    if code != 0:
        raise LakehouseError(
            f"R failed: {_reason(log)}", where=str(log), mend="the whole of what R said is in this log"
        )


def _environment() -> dict[str, str]:
    """Names in UTF-8, days in UTC, numbers with a point, whatever the user's settings."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _reason(log: Path) -> str:
    """The error R told of first, or the last thing it said."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    for line in lines:
        if line.startswith(_ERROR_MARK):
            return line.removeprefix(_ERROR_MARK)
    return lines[-1] if lines else "it said nothing"
