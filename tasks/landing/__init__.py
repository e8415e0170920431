"""Landing: dropped CSV, JSON lines and Parquet files become bronze candidates and quarantine rows.

What lands, what is refused and why:

- A file lands once by content (`pending_files`); it is opened for reading only.
- A row that breaks a rule goes to quarantine with every rule it broke, its line and its payload: the line as
  received for JSON lines and for CSV whose fields cannot be told apart, JSON of the fields otherwise, so that
  `reland` can read it again.
- A file that cannot be read as a table goes to quarantine as one row at line 0.
"""

from __future__ import annotations

from tasks.landing.inbox import InboxFile, pending_files, stray_folders
from tasks.landing.landing import land
from tasks.landing.replay import QuarantinedRow, reland

__all__ = ["InboxFile", "QuarantinedRow", "land", "pending_files", "reland", "stray_folders"]
