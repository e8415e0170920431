"""Commands for rejected rows: quarantine list, show, replay, discard."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App, Parameter

from cli.output import answers, print_json, print_table
from lake.configuration import load_settings
from lake.errors import BadInputError
from lake.table import Layer, Table
from lake.tables import table as declared

# Enough of a quarantine id to tell rows apart on a screen; any unambiguous beginning is accepted.
_SHORT_ID = 12
_SHORT_PAYLOAD = 80

app = App(
    name="quarantine",
    help="Rejected rows: list, show, replay after a fix, discard.",
    help_format="markdown",
    default_parameter=Parameter(negative=()),
)


@app.command(name="list")
def list_rows(
    table: str | None = None, *, all: bool = False, limit: int = 50, config: Path | None = None, json: bool = False
) -> None:
    """List quarantined rows with every rule they broke.

    Example: `./lakehouse quarantine list silver.payments`

    Parameters
    ----------
    table
        The table that refused the rows; all tables when absent.
    all
        Replayed and discarded rows too.
    limit
        Most rows to show.
    config
        Configuration file.
    json
        Print as JSON.
    """
    from lake.lake import Lake
    from tasks.quarantine import quarantined

    lake = Lake(load_settings(config).lake.root)
    found = quarantined(lake, _refuser(table) if table else None, include_decided=all)
    rows = found.head(limit).to_dicts()
    if json:
        print_json(rows)
        return
    shown = [
        {
            "id": r["quarantine_id"][:_SHORT_ID],
            "table": r["table_name"],
            "rules": ", ".join(r["rules"]),
            "source": f"{r['_source']}:{r['_line']}",
            "status": r["status"],
            "payload": r["payload"][:_SHORT_PAYLOAD],
        }
        for r in rows
    ]
    if shown:
        print_table(f"{found.height:,} quarantined rows, {len(shown)} shown", shown)
    else:
        answers.print("nothing is quarantined", highlight=False)


@app.command
def show(row: str, *, config: Path | None = None) -> None:
    """Show one quarantined row whole, as JSON.

    Example: `./lakehouse quarantine show 3fa85f64`

    Parameters
    ----------
    row
        Its id, or the beginning of it.
    config
        Configuration file.
    """
    from lake.lake import Lake
    from tasks.quarantine import quarantined_row

    print_json(quarantined_row(Lake(load_settings(config).lake.root), row))


@app.command
def replay(table: str, *row: str, set: tuple[str, ...] = (), config: Path | None = None) -> None:
    """Try open quarantined rows again, after a fix or with corrected values. Repeating it changes nothing.

    Example: `./lakehouse quarantine replay bronze.marketing_spend 3fa85f64 --set amount=12.50`

    Parameters
    ----------
    table
        The table that refused the rows.
    row
        Ids, or beginnings of them; all open rows of the table when absent.
    set
        COLUMN=VALUE, laid over every row's payload; may be given several times.
    config
        Configuration file.
    """
    from tasks.quarantine import replay as try_again
    from tasks.workspace import new_run, writing

    corrections = dict(_pair(text) for text in set)
    with writing(load_settings(config), new_run()) as workspace:
        done = try_again(workspace, _refuser(table), row, corrections)
    answers.print(
        f"{done.tried} tried = {done.published} published + {done.still_quarantined} still quarantined",
        highlight=False,
    )
    if done.published and table.startswith(Layer.BRONZE):
        answers.print("carry them on to silver and gold with: ./lakehouse run", highlight=False)


@app.command
def discard(table: str, *row: str, config: Path | None = None) -> None:
    """Close quarantined rows for good; they stay readable with `list --all` and counted in every balance.

    Example: `./lakehouse quarantine discard silver.events 3fa85f64`

    Parameters
    ----------
    table
        The table that refused the rows.
    row
        Ids, or beginnings of them; at least one.
    config
        Configuration file.
    """
    from tasks.quarantine import discard as close
    from tasks.workspace import new_run, writing

    if not row:
        raise BadInputError("no row named", mend="name rows by id; see: ./lakehouse quarantine list")
    with writing(load_settings(config), new_run()) as workspace:
        count = close(workspace, _refuser(table), row)
    answers.print(f"{count} discarded", highlight=False)


def _refuser(name: str) -> Table:
    table = declared(name)
    if table.layer not in (Layer.BRONZE, Layer.SILVER):
        raise BadInputError(f"{name} refuses no rows", mend="bronze and silver tables do")
    return table


def _pair(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals or not column:
        raise BadInputError(f"{text!r} is not COLUMN=VALUE", where="--set", mend="write it like --set amount=12.50")
    return column, value
