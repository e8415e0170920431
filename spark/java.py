"""Finding a Java that Spark can run on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lake.errors import MissingToolError

# Spark 4's minimum: https://spark.apache.org/docs/latest/#downloading
MINIMUM_JAVA = 17
INSTALL_JAVA = "sudo apt-get install openjdk-17-jre-headless   (macOS: brew install openjdk@17)"

_VERSION = re.compile(r'version "(\d+)([^"]*)"')


@dataclass(frozen=True, slots=True)
class Java:
    """An installed Java: the program, its whole version, and the number Spark asks for."""

    program: Path
    version: str
    major: int

    @property
    def is_new_enough(self) -> bool:
        return self.major >= MINIMUM_JAVA


def find_java() -> Java | None:
    """The Java that Spark would start, from JAVA_HOME or the path; None when there is none."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which(f"{home}/bin/java" if home else "java")
    if program is None:
        return None
    # Java prints its version as an error.
    text = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = _VERSION.search(text)
    if found is None:
        return Java(Path(program), text[:40].strip(), 0)
    return Java(Path(program), found[1] + found[2], int(found[1]))


def require_java() -> Java:
    """The Java that Spark would start.

    Raises:
        MissingToolError: There is none, or it is too old.
    """
    java = find_java()
    if java is None:
        raise MissingToolError(f"Spark needs Java {MINIMUM_JAVA} or later, and none was found", mend=INSTALL_JAVA)
    if not java.is_new_enough:
        raise MissingToolError(
            f"Spark needs Java {MINIMUM_JAVA} or later, not {java.version}", where=str(java.program), mend=INSTALL_JAVA
        )
    return java
