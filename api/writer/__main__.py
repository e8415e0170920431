"""``python -m api.writer``: the writer of the configured lake, unless it has one.

Settings come from the environment, as for every command. Ends by itself once no worker is connected.
"""

from __future__ import annotations

import gc
import os
import secrets
import sys
from datetime import UTC, datetime

import uvloop
from filelock import FileLock, Timeout

from api.logs import log_as_json
from api.writer.appender import Appender
from api.writer.group import GroupCommit
from api.writer.place import lock_path, socket_path
from api.writer.recovery import recover
from api.writer.rows_of_commit import QUARANTINE
from api.writer.server import WriterServer
from lake.configuration import load_settings
from lake.errors import LakehouseError
from lake.lake import Lake
from lake.tables import BRONZE_TRANSACTIONS

_NAMES_HEX = 3


def main() -> None:
    """Write until nobody asks any more."""
    log_as_json()
    try:
        _run()
    except LakehouseError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


def _run() -> None:
    settings = load_settings()
    lake = Lake(settings.lake.root)
    lake.prepare()
    lock = FileLock(lock_path(lake))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        # Another worker was faster to start one.
        return
    writer_id = f"w{secrets.token_hex(_NAMES_HEX - 1)}"
    # They mend what a power cut tore, so that it can be read back.
    bronze, quarantine = (
        Appender(lake, table, writer_id, settings.ingest.max_file_rows) for table in (BRONZE_TRANSACTIONS, QUARANTINE)
    )
    recovered = recover(lake, settings.ingest, datetime.now(UTC))
    commit = GroupCommit(
        bronze,
        quarantine,
        recovered.ledger,
        recovered.keys,
        writer_id,
        recovered.last_us,
    )
    # What is alive now lives as long as the process; the collector need not look at it again.
    gc.freeze()
    uvloop.run(WriterServer(commit, settings.ingest).run(socket_path(lake)))
    # Threads of the storage library may linger; everything of ours is on the disk.
    os._exit(0)


if __name__ == "__main__":
    main()
