"""Failing system calls from inside a process, for machines without strace: the writer's Python meets them.

A ``sitecustomize`` module on the path of the service under test wraps functions of `os` in its writer processes, and in
no others. It asks a file whether, and how, calls are to fail, so that faults come and go while it runs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from lake.settings import PROJECT_ROOT

_MODULE = """
import errno, json, os, sys, time

def wrap(name, real, counted):
    def call(*arguments, **options):
        try:
            with open(os.environ["FAILING_CALLS"], encoding="utf-8") as file:
                fault = json.load(file)
        except (OSError, ValueError):
            counted.clear()
            return real(*arguments, **options)
        if name not in fault["calls"] or (name == "write" and arguments[0] < 3):
            return real(*arguments, **options)
        counted.append(0)
        number = len(counted)
        if number >= fault["first"] and (number - fault["first"]) % fault["every"] == 0:
            with open(os.environ["FAILING_CALLS"] + ".struck", "ab") as struck:
                struck.write(b"%d\\n" % os.getpid())
            if not fault["error"]:
                time.sleep(fault["delay_s"])
                return real(*arguments, **options)
            code = getattr(errno, fault["error"])
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)
    return call

if "api.writer" in sys.orig_argv:
    for name in ("open", "write", "fsync", "link", "unlink"):
        setattr(os, name, wrap(name, getattr(os, name), []))
"""


class FailingCalls:
    """Puts faults into the writers of a service.

    Args:
        folder: Directory for what this needs.
    """

    def __init__(self, folder: Path) -> None:
        self._fault = folder / "fault.json"
        self._struck = folder / "fault.json.struck"
        self._modules = folder / "modules"

    def settings(self) -> dict[str, str]:
        """What the service's environment needs."""
        self._modules.mkdir(parents=True)
        (self._modules / "sitecustomize.py").write_text(_MODULE, encoding="utf-8")
        path = f"{self._modules}{os.pathsep}{PROJECT_ROOT}"
        return {"PYTHONPATH": path, "FAILING_CALLS": str(self._fault)}

    def begin(self, calls: tuple[str, ...], error: str, delay_s: float, first: int, every: int) -> None:
        """From now on the `first`-th of these calls and each `every`-th after it fails, or is late."""
        self._struck.unlink(missing_ok=True)
        fault = {"calls": calls, "error": error, "delay_s": delay_s, "first": first, "every": every}
        temporary = self._fault.with_suffix(".new")
        temporary.write_text(json.dumps(fault), encoding="utf-8")
        temporary.replace(self._fault)

    def end(self) -> int:
        """Calls are well again; how many failed or were late."""
        self._fault.unlink()
        return len(self._struck.read_bytes().splitlines()) if self._struck.exists() else 0
