"""Transactions in: Delta, Parquet or CSV that somebody else wrote, with exactly the columns and types detection needs.

What can be seen in the schema is refused here, before a row is read; what only rows can show, in `checking`.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from lake.errors import BadInputError
from spark.job.places import is_url, spark_failures

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

TEXTS = ("transaction_id", "account_id", "merchant_id", "category", "currency")
COLUMNS = (*TEXTS[:4], "occurred_at", "amount", "currency")
AMOUNT_TYPE = "decimal(18,2)"
UNREADABLE_AMOUNT, UNREADABLE_TIME = "_amount_text", "_occurred_at_text"

# Sixteen digits fill the type; that ten are allowed is the checks' to say.
_AMOUNT = r"^-?[0-9]{1,16}(\.[0-9]{1,2})?$"
# RFC 3339, with a space for its T if need be, to the microsecond.
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_CENT_DIGITS, _WHOLE_DIGITS = 2, 16


class InputFormat(StrEnum):
    """What the input is stored as."""

    DELTA = "delta"
    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True)
class Source:
    """Where transactions come from.

    Args:
        path: Absolute path or URL.
        format: How they are stored; seen from the path when absent.
        version: Of a Delta table; the latest when absent.
    """

    path: str
    format: InputFormat | None = None
    version: int | None = None

    def found_format(self) -> InputFormat:
        """The format given, else Delta where there is a ``_delta_log``, else what the suffix says, else Delta."""
        if self.format is not None:
            return self.format
        if not is_url(self.path) and (Path(self.path) / "_delta_log").is_dir():
            return InputFormat.DELTA
        name = self.path.rstrip("/").lower()
        for suffix, found in (
            (".csv", InputFormat.CSV),
            (".csv.gz", InputFormat.CSV),
            (".parquet", InputFormat.PARQUET),
        ):
            if name.endswith(suffix):
                return found
        return InputFormat.DELTA


def read_transactions(session: SparkSession, source: Source) -> tuple[DataFrame, int]:
    """The input as a frame of `COLUMNS`, and the Delta version read (0 for files).

    From CSV also `UNREADABLE_AMOUNT` and `UNREADABLE_TIME`: the text of what is no amount or moment, NULL elsewhere.

    Raises:
        BadInputError: Nothing can be read there, or a column is missing or of a wrong type; names all of them.
    """
    kind = source.found_format()
    if source.version is not None and kind is not InputFormat.DELTA:
        raise BadInputError(f"--input-version is for Delta, not {kind.value}", where=source.path)
    with spark_failures(lambda told: _unreadable(source, kind, told)):
        if kind is InputFormat.CSV:
            frame, version = _csv(session, source.path), 0
        elif kind is InputFormat.PARQUET:
            frame, version = session.read.parquet(source.path), 0
        else:
            version = latest_version(session, source.path) if source.version is None else source.version
            frame = session.read.format("delta").option("versionAsOf", version).load(source.path)
        types = dict(frame.dtypes)
    _require_columns(types, source.path)
    if kind is InputFormat.CSV:
        return _typed(frame), version
    _require_types(types, source.path)
    return frame.select(*COLUMNS), version


def latest_version(session: SparkSession, path: str) -> int:
    """The number of a Delta table's last commit, so that every later read is of the same rows.

    Raises:
        BadInputError: It has none.
    """
    log = Path(path) / "_delta_log"
    if not is_url(path) and log.is_dir():
        versions = [int(file.stem) for file in log.glob("*.json") if file.stem.isdigit()]
        if not versions:
            raise BadInputError("the table's log holds no commit", where=path)
        return max(versions)
    place = path.replace("`", "``")
    return int(session.sql(f"DESCRIBE HISTORY delta.`{place}` LIMIT 1").collect()[0]["version"])


def _unreadable(source: Source, kind: InputFormat, told: str) -> BadInputError:
    version = "" if source.version is None else f" at version {source.version}"
    return BadInputError(
        f"cannot be read as {kind.value}{version}: {told}", where=source.path,
        mend="--input PATH --input-format delta|parquet|csv",
    )  # fmt: skip


def _csv(session: SparkSession, path: str) -> DataFrame:
    # Quotes inside quotes are doubled (RFC 4180). Rows with a field too few or too many stop the job; they would not
    # if Spark looked at the needed columns only.
    options = {"header": "true", "inferSchema": "false", "escape": '"', "mode": "FAILFAST", "columnPruning": "false"}
    return session.read.options(**options).csv(path)


def _typed(texts: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    def strict(name: str, pattern: str, kind: str) -> Column:
        return f.when(f.col(name).rlike(pattern), f.col(name)).try_cast(kind)

    typed = {
        "amount": strict("amount", _AMOUNT, AMOUNT_TYPE),
        "occurred_at": strict("occurred_at", _MOMENT, "timestamp"),
    }
    unreadable = {
        UNREADABLE_AMOUNT: f.when(typed["amount"].isNull(), f.col("amount")),
        UNREADABLE_TIME: f.when(typed["occurred_at"].isNull(), f.col("occurred_at")),
    }
    columns = [typed[name].alias(name) if name in typed else f.col(name) for name in COLUMNS]
    return texts.select(*columns, *(column.alias(name) for name, column in unreadable.items()))


def _require_columns(types: dict[str, str], path: str) -> None:
    missing = []
    for name in (name for name in COLUMNS if name not in types):
        near = [c for c in types if c.lower() == name] or difflib.get_close_matches(name, types, n=1)
        missing.append(f"{name} (there is {near[0]!r})" if near else name)
    if missing:
        raise BadInputError(
            f"missing columns: {', '.join(missing)}; it has: {', '.join(types) or 'none'}", where=path,
            mend=f"name them {', '.join(COLUMNS)}",
        )  # fmt: skip


def _require_types(types: dict[str, str], path: str) -> None:
    wrong, mends = [], []
    for name in COLUMNS:
        expected = {"amount": AMOUNT_TYPE, "occurred_at": "timestamp"}.get(name, "string")
        if _fits(types[name], expected):
            continue
        wrong.append(f"{name} is {types[name]}, must be {expected}")
        mends.append(_mend(name, types[name], expected))
    if wrong:
        raise BadInputError(f"wrong types: {'; '.join(wrong)}", where=path, mend="; ".join(mends))


def _fits(actual: str, expected: str) -> bool:
    if expected != AMOUNT_TYPE:
        return actual == expected
    digits = _DECIMAL.fullmatch(actual)
    # A decimal that this type can hold whole loses nothing.
    return digits is not None and int(digits[2]) <= _CENT_DIGITS and int(digits[1]) - int(digits[2]) <= _WHOLE_DIGITS


def _mend(name: str, actual: str, expected: str) -> str:
    if actual == "timestamp_ntz":
        return (
            f"say which zone it is in: to_utc_timestamp({name}, 'Europe/Berlin'), or cast({name} as timestamp) for UTC"
        )
    if actual in ("float", "double"):
        return f"floats are not exact: write {name} as decimal from the start, or cast(round({name}, 2) as {expected})"
    return f"cast({name} as {expected})"
