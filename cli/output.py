"""What commands print: tables for people, JSON for programs, progress for whoever watches."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

# Answers go to standard output, everything about the doing to standard error.
answers = Console(file=sys.stdout)
console = Console(file=sys.stderr)

_KIB = 1024


def log_to_console() -> None:
    """Show the project's own log as plain lines on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    log = logging.getLogger("lakehouse")
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


@contextmanager
def progress(total: int, title: str) -> Iterator[None]:
    """A bar on a terminal that moves with every step; elsewhere the plain lines stay."""
    if not console.is_terminal:
        yield
        return
    log = logging.getLogger("lakehouse")
    plain = log.handlers
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        shown = _BarHandler(bar, bar.add_task(title, total=total))
        log.handlers = [shown, *(h for h in plain if not isinstance(h, logging.StreamHandler))]
        try:
            yield
        finally:
            log.handlers = plain


class _BarHandler(logging.Handler):
    def __init__(self, bar: Progress, task: Any) -> None:
        super().__init__()
        self._bar, self._task = bar, task

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "step"):
            self._bar.update(self._task, advance=1, description=record.step)
        else:
            self._bar.console.print(record.getMessage(), highlight=False)


class StepTimes(logging.Handler):
    """Collects how long each step took, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[dict[str, Any]] = []

    @classmethod
    def start(cls) -> StepTimes:
        """Begin collecting from the project's log."""
        times = cls()
        logging.getLogger("lakehouse").addHandler(times)
        logging.getLogger("lakehouse").setLevel(logging.INFO)
        return times

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "seconds"):
            self.steps.append({"name": record.step, "layer": record.layer, "seconds": round(record.seconds, 3)})  # type: ignore[attr-defined]


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    sys.stdout.write(orjson.dumps(value, default=str, option=options).decode())


def print_table(title: str, rows: Sequence[Mapping[str, Any]], right: Sequence[str] = ()) -> None:
    """Rows under their keys; numbers in the columns named by `right` align right.

    Where the output is no terminal the table is as wide as its content, so that nothing is cut.
    """
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in rows[0] if rows else ():
        table.add_column(name.replace("_", " "), justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        # Text, not markup: what people typed may hold square brackets.
        table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
    if answers.is_terminal:
        answers.print(table)
    else:
        wide = Console(file=sys.stdout, width=10_000, soft_wrap=True)
        wide.print(table, width=wide.measure(table).maximum)


def human_bytes(size: int) -> str:
    """A size in words: 1.5 MiB."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _KIB:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KIB
    return f"{value:.1f} TiB"
