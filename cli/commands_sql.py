"""Commands about models on other engines: compile, verify, diff; and where their columns come from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App, Parameter

from cli.commands_lineage import catalogue, lineage
from cli.output import answers, console, print_json, print_table, progress
from lake.configuration import load_settings
from lake.errors import BadInputError, DivergenceError
from lake.settings import EngineName

if TYPE_CHECKING:
    from sql.compare import Difference
    from tasks.verify import Verdict

Target = Literal["sqlite", "snowflake", "spark"]
Source = Literal["edge", "generated", "lake"]

app = App(
    name="sql",
    help="Models on other engines: compile, verify, diff, lineage, catalogue.",
    help_format="markdown",
    default_parameter=Parameter(negative=()),
)
app.command(lineage)
app.command(catalogue)


@app.command(name="compile")
def compile_models(
    *,
    to: tuple[Target, ...] = (),
    models: Path | None = None,
    schema: Path | None = None,
    output: Path | None = None,
    json: bool = False,
) -> None:
    """Carry models to other dialects, as scripts that make their tables.

    What cannot be carried without changing its meaning is refused, with construct, file and line.

    Example: `./lakehouse sql compile`, or anybody's folder of DuckDB SELECTs:
    `./lakehouse sql compile --models my_models --schema tables.sql --to spark --output out`

    Parameters
    ----------
    to
        Dialects: sqlite, snowflake, spark [default: all].
    models
        Folder with one SELECT a file [default: the project's models].
    schema
        CREATE TABLE statements, in DuckDB's SQL, of the tables that `models` read.
    output
        Folder for the scripts, with one folder a dialect in it [default: sql/compiled].
    json
        Print the files as JSON.
    """
    from tasks.compile import compile_folder, compile_own

    if models is None and schema is not None:
        raise BadInputError("--schema describes the tables of --models", where="--schema", mend="name --models DIR")
    if models is not None and output is None:
        raise BadInputError("--models needs a place for its scripts", where="--output", mend="name --output DIR")
    written = (
        compile_own(to, output) if models is None or output is None else compile_folder(models, schema, to, output)
    )
    if json:
        print_json([str(path) for path in written])
    else:
        answers.print(f"{len(written)} scripts", highlight=False)
        for path in written:
            answers.print(f"  {path}", highlight=False, soft_wrap=True)


@app.command
def verify(
    *,
    engine: tuple[EngineName, ...] = ("sqlite", "sail"),
    source: tuple[Source, ...] = ("edge", "generated"),
    certify: bool = False,
    config: Path | None = None,
    json: bool = False,
) -> None:
    """Run every model on other engines over the same rows and compare every row with DuckDB's.

    Ends with exit code 11 unless every model is equal on every engine.

    Example: `./lakehouse sql verify --engine sqlite --engine spark`

    Parameters
    ----------
    engine
        Engines to hold against DuckDB; may be given several times.
    source
        What to run on: edge (rows made of edges), generated (a small company), lake (what is published).
    certify
        Write a certificate beside each compiled model.
    config
        Configuration file; section `snowflake` holds the account.
    json
        Print every verdict as JSON.
    """
    from sql.compile import COMPILED
    from tasks.certify import write_certificates
    from tasks.verify import Fate, prepare
    from tasks.verify import verify as judge

    settings = load_settings(config)
    with _scratch() as scratch:
        inputs = prepare(source, scratch, settings)
        with progress(20 * len(inputs) * (1 + len(engine)), "verifying"):
            verdicts = list(judge(settings, engine, inputs, scratch))
        if certify:
            written = write_certificates(verdicts, inputs, settings)
            console.print(
                f"{len(written)} certificates, beside the scripts in {COMPILED}", soft_wrap=True, highlight=False
            )
    if json:
        print_json([asdict(v) for v in verdicts])
    else:
        _print_matrix(verdicts)
    wrong = [v for v in verdicts if v.fate is not Fate.EQUAL]
    if wrong:
        raise DivergenceError(
            f"{len(wrong)} of {len(verdicts)} results are not equal: "
            + "; ".join(f"{v.model} on {v.engine} ({v.source}): {v.fate}, {v.detail}" for v in wrong[:3])
        )


@app.command
def diff(table: str, *, between: str, config: Path | None = None, json: bool = False) -> None:
    """Compare a table between two engines, or two of its versions.

    Example: `./lakehouse sql diff gold.revenue --between duckdb,sqlite`, or two versions: `--between 3,4`

    Parameters
    ----------
    table
        Full name, such as gold.revenue.
    between
        Two engines or two version numbers, with a comma between.
    config
        Configuration file.
    json
        Print as JSON.
    """
    from tasks.diff import table_difference

    with _scratch() as scratch:
        found = table_difference(load_settings(config), table, between, scratch)
    if json:
        print_json(None if found is None else asdict(found))
    elif found is None:
        answers.print(f"{table}: no difference between {between.replace(',', ' and ')}", highlight=False)
    else:
        _print_difference(table, found)
    if found is not None:
        raise DivergenceError(found.reason, where=f"{table} between {between}")


def _print_matrix(verdicts: Sequence[Verdict]) -> None:
    """A row a model, a column an engine and input."""
    columns = list(dict.fromkeys(f"{v.engine}_{v.source}" for v in verdicts))
    rows: dict[str, dict[str, object]] = {}
    for v in verdicts:
        row = rows.setdefault(v.model, {"model": v.model, **dict.fromkeys(columns, "")})
        row[f"{v.engine}_{v.source}"] = f"{v.fate} ({v.rows:,})"
    print_table("Models by engine and input, rows in brackets", list(rows.values()))
    for v in verdicts:
        if v.difference is not None:
            _print_difference(f"{v.model} on {v.engine} ({v.source})", v.difference)
    seconds = sum(v.seconds for v in verdicts)
    answers.print(f"{len(verdicts)} results in {seconds:.1f} s", highlight=False)


def _print_difference(title: str, found: Difference) -> None:
    answers.print(f"{title}: {found.reason}", highlight=False, markup=False)
    if found.rows:
        print_table("first rows that differ", list(found.rows))


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lakehouse-sql-") as folder:
        yield Path(folder)
