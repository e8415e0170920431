"""The command line's front door: commands by group, and what a person sees when one fails."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from pathlib import Path

# Nothing leaves the machine unless switched on; read by Prefect and Soda when they are first imported.
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "SODA_CORE_TELEMETRY_ENABLED": "false",
    # The temporary server's shutdown prints stack traces of cancelled background services.
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    # Errors with their traces go to the run's log on the server; people are told in our words.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
}
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)

from cyclopts import App, Group, Parameter  # noqa: E402
from rich.text import Text  # noqa: E402

from cli import (  # noqa: E402
    commands_api,
    commands_lake,
    commands_mirror,
    commands_notebook,
    commands_platform,
    commands_project,
    commands_quarantine,
    commands_run,
    commands_sql,
    commands_transactions,
)
from cli.output import console, log_to_console  # noqa: E402
from lake.errors import LakehouseError  # noqa: E402

INTERRUPTED_EXIT_CODE = 130
UNEXPECTED_EXIT_CODE = 70
TRACE_FILE = Path("data/logs/last-error.log")

app = App(
    name="lakehouse",
    help=(
        "A Delta lakehouse in one command: **land → bronze → silver → gold**, every layer through its Soda gate.\n\n"
        "`./lakehouse run` brings everything up to date. `./lakehouse COMMAND --help` shows an example of each command."
    ),
    help_format="markdown",
    version_flags=[],
    default_parameter=Parameter(negative=()),
)

_RUN = Group("Run", sort_key=1)
_LOOK = Group("Look", sort_key=2)
_MEND = Group("Mend", sort_key=3)
_SERVE = Group("Serve", sort_key=4)
_SQL = Group("Models", sort_key=5)
_PROJECT = Group("Project", sort_key=6)

for _group, _commands in (
    (_RUN, (commands_run.run, commands_run.generate, commands_run.land, commands_run.build, commands_run.export)),
    (_RUN, (commands_mirror.mirror,)),
    (_RUN, (commands_transactions.app,)),
    (_LOOK, (commands_lake.tables, commands_lake.show, commands_lake.history, commands_lake.check)),
    (_LOOK, (commands_notebook.notebook,)),
    (_MEND, (commands_quarantine.app, commands_lake.restore, commands_lake.maintain)),
    (_SERVE, (commands_platform.up, commands_platform.down, commands_platform.deploy)),
    (_SERVE, (commands_api.serve, commands_api.keys_app)),
    (_SQL, (commands_sql.app,)),
    (_PROJECT, (commands_project.doctor, commands_project.test, commands_project.bench)),
):
    for _command in _commands:
        if isinstance(_command, App):
            _command.group = (_group,)
            app.command(_command)
        else:
            app.command(_command, group=_group)


def main() -> None:
    """Run the command line; exit codes are listed in docs/errors.md."""
    log_to_console()
    try:
        app()
    except LakehouseError as error:
        _tell(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        console.print("interrupted; the last good versions are untouched, run the command again to finish")
        sys.exit(INTERRUPTED_EXIT_CODE)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; that is its right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        logging.getLogger("lakehouse").debug("unexpected", exc_info=error)
        what = Text(f": {type(error).__name__}: {error}\nthis is a defect; the full trace is in {_write_trace(error)}")
        console.print(Text("unexpected error", style="red") + what, soft_wrap=True)
        sys.exit(UNEXPECTED_EXIT_CODE)


def _tell(error: LakehouseError) -> None:
    # Whole lines, markup of ours only: names and paths may hold brackets, and logs are searched by line.
    place = Text(f" in {error.where}", style="bold") if error.where else Text("")
    console.print(Text("error", style="red") + place, soft_wrap=True)
    for line in (error.what, f"→ {error.mend}" if error.mend else ""):
        if line:
            console.print(Text(f"  {line}"), soft_wrap=True)


def _write_trace(error: Exception) -> Path:
    try:
        TRACE_FILE.parent.mkdir(parents=True, exist_ok=True)
        TRACE_FILE.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        traceback.print_exception(error)
    return TRACE_FILE
