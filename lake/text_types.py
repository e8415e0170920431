"""How a declared value may be written as text: one spelling for files and for the HTTP service.

The patterns are common to RE2 and Python's `re` and capture nothing; each stands for the whole text.
"""

from __future__ import annotations

from lake.table import COUNT, DATE, TEXT, TIMESTAMP, Column

# Years that Python, Spark and every other reader of the lake can hold.
FIRST_DAY, LAST_DAY = "0001-01-01", "9999-12-31"
FIRST_MOMENT, LAST_MOMENT = f"{FIRST_DAY} 00:00:00+00", f"{LAST_DAY} 23:59:59.999999+00"

INTEGER = r"[+-]?\d+"
DECIMAL = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)"
# More digits than four are years beyond the range, told apart from text that is no time at all.
DAY = r"-?\d{4,6}-\d{2}-\d{2}"
CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
ZONE = r"(?:Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)"
LOCAL_TIME = f"{DAY}[T ]{CLOCK}"
TIME = LOCAL_TIME + ZONE

# Found anywhere in text that one of the patterns above matched.
FOUR_DIGIT_YEAR = r"^\d{4}-"
BELOW_MICROSECONDS = r"\.\d{6}\d*[1-9]"

_NOT_A = {
    str(TEXT): "not_text",
    str(COUNT): "not_an_integer",
    str(DATE): "not_a_date",
    str(TIMESTAMP): "not_a_timestamp",
}


def finer_than(scale: int) -> str:
    """What is found in a decimal with more than `scale` digits after the point, zeros included."""
    return rf"\.\d{{{scale + 1}}}"


def not_a(column: Column) -> str:
    """The rule broken by a value that is nothing like the column's type."""
    return f"{column.name}_{_NOT_A.get(str(column.type), 'not_a_decimal')}"
