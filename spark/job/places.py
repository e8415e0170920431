"""Paths and URLs, and what Spark's failures at them mean to people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lake.errors import LakehouseError, StorageError

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:/")
MAX_TOLD_CHARACTERS = 300
# How the disks and object stores of Java and Rust say that they refuse.
_REFUSED = re.compile(
    r"permission denied|access ?denied|forbidden|no space left|disk quota|read-only file system|not a directory"
    r"|mkdirs failed|unable to create|failed to create",
    re.IGNORECASE,
)


def is_url(path: str) -> bool:
    """Whether a path is one that only Spark can follow: s3a://, abfss://, dbfs:/."""
    return bool(_SCHEME.match(path))


def absolute(path: str) -> str:
    """A path as every process of the job understands it; URLs stay, except that of a file, which becomes a path."""
    if path.startswith("file:/"):
        path = "/" + path.removeprefix("file:").lstrip("/")
    return path if is_url(path) else str(Path(path).resolve())


@contextmanager
def spark_failures(meaning: Callable[[str], LakehouseError]) -> Iterator[None]:
    """Give what Spark raises in the block its meaning; errors for people pass.

    Args:
        meaning: Takes the first line that says something, and gives what to raise.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise meaning(first_line(error)) from error


@contextmanager
def write_failures(where: str) -> Iterator[None]:
    """A place that refuses to be written is an error for people; any other failure stays what it is.

    Raises:
        StorageError: Permissions, a full disk, a file in the way.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        if refused := _REFUSED.search(str(error)):
            line = next(line for line in str(error).splitlines() if refused[0] in line)
            raise StorageError(
                f"cannot be written: {line.strip()[:MAX_TOLD_CHARACTERS]}", where=where, mend="--output DIR"
            ) from error
        raise


def first_line(error: BaseException) -> str:
    """The first line of an error that says something, at most `MAX_TOLD_CHARACTERS` of it."""
    java = getattr(error, "java_exception", None)
    lines = [line.strip() for line in (str(java) if java is not None else str(error)).splitlines()]
    return next((line for line in lines if line), type(error).__name__)[:MAX_TOLD_CHARACTERS]
