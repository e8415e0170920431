"""A new database of Prefect's server, migrated once per installation: new servers begin with a copy.

    python -m tasks.prefect_database        makes it, which the launcher does when it has installed Prefect

Prefect brings a new database through every migration that it ever had, most of that time in reading back tables that
the ones before have made: as long as a run of this project takes.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from importlib import metadata
from pathlib import Path

from lake.durable import create_file, make_directory, replace_file
from lake.errors import LakehouseError, StorageError

# Prefect's own name for it in PREFECT_HOME.
NAME = "prefect.db"
_URL = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
_MIGRATE = ("-m", "prefect", "server", "database", "upgrade", "--yes")


def migrated() -> Path:
    """Where the migrated database of the installed Prefect lies, once it is made."""
    return Path(sys.prefix) / "share" / "lakehouse" / f"prefect-{metadata.version('prefect')}.db"


def make() -> None:
    """Let Prefect migrate a new database aside, and keep it; nothing where it is there.

    Raises:
        LakehouseError: Prefect did not migrate it.
        StorageError: It cannot be kept.
    """
    kept = migrated()
    if kept.exists():
        return
    with tempfile.TemporaryDirectory(prefix="lakehouse-") as place:
        aside, packed = Path(place) / NAME, Path(place) / "packed.db"
        # Without the user's settings, which may name a database of theirs.
        own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        environment = {**own, "PREFECT_HOME": place, _URL: f"sqlite+aiosqlite:///{aside}"}
        done = subprocess.run([sys.executable, *_MIGRATE], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LakehouseError(f"Prefect did not migrate a new database: {done.stderr[-500:]}", where=str(kept))
        # One file, whatever of it still lay in the write-ahead log.
        with closing(sqlite3.connect(aside)) as connection:
            connection.execute("VACUUM INTO ?", (str(packed),))
        try:
            make_directory(kept.parent)
            replace_file(kept, packed.read_bytes())
        except OSError as error:
            raise StorageError(f"cannot keep Prefect's migrated database: {error.strerror}", where=str(kept)) from None


def begin(home: Path) -> None:
    """Make a Prefect home, whose database is the migrated one where it has none yet and one was made.

    Raises:
        OSError: It cannot be written.
    """
    home.mkdir(parents=True, exist_ok=True)
    if not (home / NAME).exists() and (kept := migrated()).exists():
        create_file(home / NAME, kept.read_bytes())


if __name__ == "__main__":
    try:
        make()
    except LakehouseError as stopped:
        sys.exit(f"error: {stopped}")
