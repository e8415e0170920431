"""The page on translation, written from the allow-lists; run ``python -m sql.translation_page`` after changing one."""

from __future__ import annotations

from pathlib import Path

from sql.dialects.refusal import name_of
from sql.dialects.rules import RULES
from sql.dialects.target import Target
from sql.dialects.targets import BY_NAME
from sql.sqlite_functions import AGGREGATES, COLLATION, PRESENT, SCALARS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "translation.md"
_HEAD = """\
# Translation

A model is one SELECT in DuckDB's dialect. `sql.translate.translate` carries it to SQLite, Snowflake and Spark,
or refuses it with construct, file and line: what it emits gives DuckDB's rows, or fails; it never gives others.
Written by `python -m sql.translation_page` from the lists the translation itself reads.

## The way of a SELECT

1. `sql/dialects/source.py` parses it, has SQLGlot qualify every name, and has DuckDB describe both the original
   and the qualified text over empty tables of the schema: they must agree.
2. `sql/dialects/annotate.py` gives every expression DuckDB's type by the rules of `sql/dialects/rules.py`, and
   writes DuckDB's implicit casts out. The types of the columns must be those DuckDB describes. A construct
   without a rule is refused.
3. The target's transforms (`sql/dialects/<target>.py`, in order) rewrite what the target lacks or understands
   otherwise.
4. Every node of the result must be on the target's allow-list, with no more parts than listed.
   `tests/sql/translate` runs each entry and each transform on its engine and compares the rows with DuckDB's.

Engines are assumed as they are run: SQLite 3.39 or later with the helpers below registered, Spark 4 in ANSI
mode, all sessions in UTC. Snowflake is proved on fakesnow, which computes in DuckDB: where that must answer
like DuckDB, the list is stricter than what passes there. No account has confirmed it yet.

## How values lie in SQLite

| DuckDB | SQLite |
|---|---|
| `DECIMAL(p,s)` | TEXT with s digits behind the point (`12.50`), zero unsigned; ordered by the collation `decimal` |
| `DATE` | TEXT `YYYY-MM-DD` |
| `TIMESTAMP` | TEXT `YYYY-MM-DD HH:MM:SS.ffffff` |
| `TIMESTAMP WITH TIME ZONE` | the same in UTC, with `+00:00` behind it |
| `BOOLEAN` | INTEGER 0 or 1 |
| whole numbers | INTEGER; beyond 64 bits an error |
| `DOUBLE` | REAL; infinity stays, NaN is an error (SQLite would store NULL), a stored negative zero loses its sign |
| `VARCHAR` | TEXT without NUL characters, which SQLite's LENGTH stops at |

Table `silver.users` is `silver_users` in SQLite, `silver.users` in Spark and `SILVER.USERS` in Snowflake. Names
that are reserved somewhere are quoted everywhere; in Snowflake in capitals, so that they are the same name as
unquoted.

## What an error may replace

Never another value, but on some targets an error stands where DuckDB has a value: NaN, years outside 1 to 9999,
sums of whole numbers beyond 64 bits, and texts that are cast to numbers or dates and not written plainly.
DuckDB's own errors (overflow, a whole division by zero) may be values elsewhere only where the target's numbers
are wider.
"""


def render() -> str:
    """The page as Markdown."""
    return "\n".join((_HEAD, _constructs(), *(_target(target) for target in BY_NAME.values()), _helpers()))


def _constructs() -> str:
    names = sorted({name_of(kind) for kind in RULES})
    return (
        "## What has a type rule\n\nEverything else in an expression is refused on every target: "
        + ", ".join(f"`{name}`" for name in names)
        + ".\n"
    )


def _target(target: Target) -> str:
    steps = "\n".join(
        f"{number}. `{step.__name__}`: {_says(step)}" for number, step in enumerate(target.transforms, start=1)
    )
    nodes = ", ".join(f"`{name}`" for name in sorted({name_of(kind) for kind in target.nodes}))
    functions = ", ".join(f"`{name}`" for name in sorted(target.functions - target.helpers, key=str.lower))
    return (
        f"## {target.name}\n\nTransforms, in order:\n\n{steps}\n\nSyntax that may stand in the result: {nodes}.\n\n"
        f"Functions called by name: {functions}{' and the helpers below' if target.helpers else ''}.\n"
    )


def _helpers() -> str:
    lines = ["## Helpers of SQLite", "", "`sql.sqlite_functions.register` makes them known to a connection.", ""]
    lines += [f"- `{name}`: {_says(function)}" for name, (_, function) in sorted(SCALARS.items())]
    lines += [f"- `{name}`, over NULLs too: {_says(function)}" for name, function in sorted(PRESENT.items())]
    lines += [f"- `{name}`, an aggregate: {_says(kind)}" for name, (_, kind) in sorted(AGGREGATES.items())]
    return "\n".join((*lines, f"- `{COLLATION}`, a collation: order of decimals by value.", ""))


def _says(documented: object) -> str:
    return (documented.__doc__ or "").strip().partition("\n")[0]


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
