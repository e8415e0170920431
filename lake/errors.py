"""The one exception family: what happened, where, and what to type next.

Each class carries the exit code the command line ends with (listed in docs/errors.md) and whether
running the same thing again can help; retries act on that flag, never on a message.
"""

from __future__ import annotations

from typing import ClassVar


class LakehouseError(Exception):
    """Base of everything a user can be told about.

    Args:
        what: What happened, with the value that caused it.
        where: File, table, key or line.
        mend: What to do, ideally a command to type.
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str | None = None, mend: str | None = None) -> None:
        super().__init__(what, where, mend)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} → {self.mend}" if self.mend else text

    def __reduce__(self) -> tuple[object, ...]:
        # Prefect pickles exceptions into run states; keyword-only arguments need this.
        return (_rebuild, (type(self), self.what, self.where, self.mend))


def _rebuild(kind: type[LakehouseError], what: str, where: str | None, mend: str | None) -> LakehouseError:
    return kind(what, where=where, mend=mend)


class ConfigurationError(LakehouseError):
    """A setting is unknown, of the wrong type or impossible."""

    exit_code = 2


class GateError(LakehouseError):
    """A contract did not let a candidate through; the last good version stays readable."""

    exit_code = 3


class BadInputError(LakehouseError):
    """Something given by the user (file, table name, row id) cannot be used."""

    exit_code = 4


class LakeBusyError(LakehouseError):
    """Another run holds the lake's writer lock."""

    exit_code = 5
    retryable = True


class StorageError(LakehouseError):
    """A table or directory cannot be read or written: permissions, full disk, torn log."""

    exit_code = 6


class VersionGoneError(StorageError):
    """A version of a table is past the history that its log keeps, or was never committed."""


class NewerLakeError(LakehouseError):
    """The lake was written by a later version of this project."""

    exit_code = 7


class MissingToolError(LakehouseError):
    """A program or package this command needs is not installed."""

    exit_code = 8


class ModelError(LakehouseError):
    """A SQL model is wrong: does not parse, reads an unknown table, is part of a cycle."""

    exit_code = 9


class ContractError(LakehouseError):
    """A Soda contract says something it cannot mean: unknown key, missing check, unknown column."""

    exit_code = 10


class DivergenceError(LakehouseError):
    """Two engines, or two versions of a table, do not hold the same rows."""

    exit_code = 11
