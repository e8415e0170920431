"""A writer watched from inside, for machines without strace: ``python -m bench.faults.in_process ROOT TRACE``.

Runs the writer with the functions of `os` that change files wrapped, as the writer calls them by these names. Sees what
Python code does through them, which is all of a commit of ours; not what native code does (Parquet written to a path
by pyarrow). Answers are noted by the driver when they have reached it.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.faults.calls import Call, Kind

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
# As they are before they are wrapped.
_OPEN, _WRITE, _CLOSE, _FSYNC = os.open, os.write, os.close, os.fsync


def recorded(root: Path, trace: Path) -> list[str]:
    """The command that runs a watched writer of the lake that the environment names."""
    return [sys.executable, "-m", "bench.faults.in_process", str(root), str(trace)]


def note(trace: Path, call: Call) -> None:
    """Append a call to a trace."""
    line = {
        "kind": call.kind,
        "path": call.path,
        "target": call.target,
        "content": base64.b64encode(call.content).decode(),
        "at": call.at,
    }
    descriptor = _OPEN(trace, _APPEND, 0o600)
    try:
        # One write: lines of two processes do not mix.
        _WRITE(descriptor, json.dumps(line).encode() + b"\n")
    finally:
        _CLOSE(descriptor)


def read_recorded(trace: Path) -> list[Call]:
    """The calls of a trace, in order."""
    calls = []
    for line in trace.read_text(encoding="ascii").splitlines():
        found: dict[str, Any] = json.loads(line)
        content = base64.b64decode(found["content"])
        calls.append(Call(Kind(found["kind"]), found["path"], found["target"], content, found["at"]))
    return calls


@dataclass
class _Recording:
    root: Path
    trace: Path
    opened: dict[int, str] = field(default_factory=dict)
    # Threads of the writer take numbers at once.
    syncs: Iterator[int] = field(default_factory=itertools.count)

    def install(self) -> None:
        wrapped: dict[str, Callable[..., Any]] = {
            "open": self.open,
            "close": self.close,
            "write": self.write,
            "fsync": self.fsync,
            **{name: self._named(name, kind) for name, kind in _NAMED.items()},
        }
        for name, function in wrapped.items():
            setattr(os, name, function)

    def _below(self, path: Any) -> str | None:
        given = Path(os.fsdecode(path)).absolute()
        return str(given.relative_to(self.root)) if given.is_relative_to(self.root) else None

    def _note(self, kind: Kind, path: str, target: str = "", content: bytes = b"", at: int = -1) -> None:
        note(self.trace, Call(kind, path, target, content, at))

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor = _OPEN(path, flags, mode, dir_fd=dir_fd)
        where = self._below(path)
        if where is not None:
            self.opened[descriptor] = where
            if flags & os.O_CREAT:
                self._note(Kind.CREATE, where)
            if flags & os.O_TRUNC:
                self._note(Kind.TRUNCATE, where, at=0)
        return descriptor

    def close(self, descriptor: int) -> None:
        self.opened.pop(descriptor, None)
        _CLOSE(descriptor)

    def write(self, descriptor: int, content: Any) -> int:
        written = _WRITE(descriptor, content)
        if descriptor in self.opened:
            self._note(Kind.WRITE, self.opened[descriptor], content=bytes(content)[:written])
        return written

    def fsync(self, descriptor: int) -> None:
        where = self.opened.get(descriptor)
        if where is None:
            return _FSYNC(descriptor)
        number = next(self.syncs)
        self._note(Kind.SYNC_BEGIN, where, at=number)
        _FSYNC(descriptor)
        return self._note(Kind.SYNC, where, at=number)

    def _named(self, name: str, kind: Kind) -> Callable[..., None]:
        real = getattr(os, name)

        def call(path: Any, *more: Any, **options: Any) -> None:
            real(path, *more, **options)
            where = self._below(path)
            target = self._below(more[0]) if kind in (Kind.LINK, Kind.RENAME) else ""
            if where is not None and target is not None:
                self._note(kind, where, target)

        return call


_NAMED = {
    "link": Kind.LINK,
    "rename": Kind.RENAME,
    "replace": Kind.RENAME,
    "unlink": Kind.UNLINK,
    "remove": Kind.UNLINK,
    "mkdir": Kind.MKDIR,
    "rmdir": Kind.RMDIR,
}


def main(arguments: Sequence[str]) -> None:
    """Watch a writer until it ends."""
    root, trace = (Path(argument).absolute() for argument in arguments)
    _Recording(root, trace).install()
    runpy.run_module("api.writer", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
