"""The notebook: statistics of the exports as a page."""

from __future__ import annotations

from pathlib import Path

from cli.output import answers, print_json
from lake.configuration import load_settings

_OUTPUT = Path("data/notebooks")


def notebook(
    *, exports: Path | None = None, output: Path = _OUTPUT, config: Path | None = None, json: bool = False
) -> None:
    """Render trends, experiments and churn from the exports: a page, and its estimates as JSON. Needs R.

    Example: `./lakehouse notebook`

    Parameters
    ----------
    exports
        Directory of the CSV exports [default: the configuration's `export.directory`].
    output
        Directory to write `r_kpi_analysis.html` and `r_kpi_analysis.json` to.
    config
        Configuration file.
    json
        Print the names of the files as JSON.
    """
    from tasks.notebook import render_notebook

    done = render_notebook(exports or load_settings(config).export.directory, output)
    if json:
        print_json([str(done.html), str(done.json)])
    else:
        answers.print(f"page: {done.html}", highlight=False, soft_wrap=True)
        answers.print(f"estimates: {done.json}", highlight=False, soft_wrap=True)
