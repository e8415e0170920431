"""From the body of a request to typed rows, or to what is wrong with them and where."""

from api.rows.batch import READERS, Batch, RefusedRow, read_batch
from api.rows.row import read_row
from api.rows.validation import Checked, as_text_table, check, check_typed

__all__ = [
    "READERS",
    "Batch",
    "Checked",
    "RefusedRow",
    "as_text_table",
    "check",
    "check_typed",
    "read_batch",
    "read_row",
]
